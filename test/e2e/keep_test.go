package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// For KEEP=1: the cluster is in namespaces of its own, and a person's kubectl and browser are not. The API server has a door to
// the outside, and port-forward goes through it.

const (
	apiDoor         = "api"
	addressVariable = "E2E_API_ADDRESS"
)

// noteDoor tells the process inside where the door is outside.
func noteDoor(_, address string) { _ = os.Setenv(addressVariable, address) }

// keep leaves everything running until somebody ends it.
func (w *World) keep(ctx context.Context) {
	kubeconfig, err := w.outsideKubeconfig()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: keep the cluster:", err)
		return
	}
	fmt.Fprintf(os.Stderr, `
The cluster is up until Ctrl-C. In another terminal, as root:

  export KUBECONFIG=%s
  kubectl run nb -n at-start --image=localhost/docker-stacks:test --labels=jupyter-user=alice
  kubectl logs nb -n at-start | grep token=
  kubectl port-forward -n at-start pod/nb 8888

Everything of the node is in %s. A shell beside it: nsenter --all --target "$(pgrep -n kubelet)"
`, kubeconfig, w.Room.Folder)
	<-ctx.Done()
}

// outsideKubeconfig is the admin's with the address of the door.
func (w *World) outsideKubeconfig() (string, error) {
	server, err := url.Parse(w.Admin.Config.Host)
	if err != nil {
		return "", err
	}
	if err := w.Room.Open(apiDoor, server.Host); err != nil {
		return "", err
	}
	data, err := os.ReadFile(w.Admin.Kubeconfig)
	if err != nil {
		return "", err
	}
	path := filepath.Join(w.Room.Folder, "kubeconfig")
	text := strings.ReplaceAll(string(data), server.Host, os.Getenv(addressVariable))
	return path, os.WriteFile(path, []byte(text), 0o600)
}
