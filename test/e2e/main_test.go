package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
	"jupyter-user.io/jupyter-user-webhook/test/slapd"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// cluster is the cluster that all tests share.
var cluster *testCluster

func TestMain(m *testing.M) {
	if os.Getenv("E2E") == "" {
		fmt.Println("left out: these tests need root and a few minutes. Run them with make e2e")
		os.Exit(0) //nolint:forbidigo // TestMain is the main of this program
	}
	program := sealed.Program{Outside: build, Inside: func(enclosure sealed.Enclosure) int { return inside(m, enclosure) }}
	if keep() {
		program.Tunnels, program.Opened, program.UntilInterrupt = []string{apiTunnel, notebookTunnel}, recordTunnel, true
	}
	os.Exit(sealed.Run(program)) //nolint:forbidigo // likewise
}

func keep() bool { return os.Getenv("KEEP") != "" }

// build builds the programs, images and hubs of the tests. It runs outside the enclosure (see the package sealed), because
// the enclosure has no network.
func build(ctx context.Context) error {
	err := progress.Stage(os.Stderr, "programs", func() error {
		_, cluster := node.Build(ctx, os.Stderr)
		_, packager := tools.Build(ctx, os.Stderr, tools.Helm, tools.CertManager)
		return errors.Join(cluster, packager, slapd.Fetch(ctx))
	})
	if err != nil {
		return err
	}
	err = progress.Stage(os.Stderr, "images built", func() error {
		_, err := images.Build(ctx, os.Stderr)
		return err
	})
	if err != nil {
		return err
	}
	return progress.Stage(os.Stderr, "hubs built", func() error {
		_, six := hub.Build(ctx, os.Stderr, hub.KubeSpawner6)
		_, seven := hub.Build(ctx, os.Stderr, hub.KubeSpawner7)
		return errors.Join(six, seven)
	})
}

func inside(m *testing.M, enclosure sealed.Enclosure) (status int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := progress.Stage(os.Stderr, "cluster, all told", func() (err error) {
		cluster, err = newTestCluster(ctx, enclosure)
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: start the cluster:", err)
		return 1
	}
	_ = progress.Stage(os.Stderr, "tests", func() error {
		status = m.Run()
		return nil
	})
	if keep() {
		if err := cluster.keepRunning(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			return 1
		}
		return status
	}
	if err := progress.Stage(os.Stderr, "nothing of ours is left", func() error { return cluster.uninstall(ctx) }); err != nil {
		fmt.Fprintln(os.Stderr, "error: uninstall:", err)
		return max(status, 1)
	}
	if mustInstallAgain() {
		if err := cluster.installAgain(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "error: install again:", err)
			return max(status, 1)
		}
	}
	return status
}
