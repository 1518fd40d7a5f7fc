// Command build prints the paths of tools, and builds those that the cache does not have:
//
//	go run ./test/tools/build golangci-lint
//	go run ./test/tools/build control-plane
//
// It writes one path per line to standard output, in the order of its arguments, and its progress to standard error. The
// argument control-plane means etcd, kube-apiserver and kubectl, which are downloaded if possible. If KUBEBUILDER_ASSETS
// names a folder with etcd and kube-apiserver, the programs in this folder are used instead.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

const controlPlane = "control-plane"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(names) == 0 {
		return fmt.Errorf("nothing to build: name %s or tools such as %s", controlPlane, tools.GolangciLint)
	}
	for _, name := range names {
		if err := build(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func build(ctx context.Context, name string) error {
	if name != controlPlane {
		paths, err := tools.Build(ctx, os.Stderr, tools.Tool(name))
		if err != nil {
			return err
		}
		fmt.Println(paths[tools.Tool(name)])
		return nil
	}
	paths, err := tools.ControlPlane(ctx, os.Stderr)
	if err != nil {
		return err
	}
	for _, tool := range tools.ControlPlaneTools() {
		fmt.Println(paths[tool])
	}
	return nil
}
