package nfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/uml"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// cluster is the cluster that all tests share. It is nil if this machine cannot run the additional nodes.
var cluster *testCluster

// unfitVariable is an environment variable with the reason why this machine cannot run the additional nodes.
const unfitVariable = "JUPYTER_USER_NO_NFS"

func TestMain(m *testing.M) {
	if uml.Inside() {
		os.Exit(uml.Run()) //nolint:forbidigo // TestMain is the main of this program
	}
	if os.Getenv("E2E") == "" {
		fmt.Println("left out: these tests need root and a few minutes. Run them with make e2e")
		os.Exit(0) //nolint:forbidigo // likewise
	}
	os.Exit(sealed.Run(sealed.Program{ //nolint:forbidigo // likewise
		Outside: build, Inside: func(enclosure sealed.Enclosure) int { return inside(m, enclosure) },
	}))
}

// build builds the programs and images of the tests. It runs outside the enclosure (see the package sealed), because the
// enclosure has no network.
func build(ctx context.Context) error {
	if _, err := uml.Build(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "NFS is not tested on this machine:", err)
		sentence, _, _ := strings.Cut(err.Error(), "\n")
		return os.Setenv(unfitVariable, sentence)
	}
	return progress.Stage(os.Stderr, "programs and images", func() error {
		_, cluster := node.Build(ctx, os.Stderr)
		_, packager := tools.Build(ctx, os.Stderr, tools.Helm, tools.Promtool)
		_, notebooks := images.Build(ctx, os.Stderr)
		return errors.Join(cluster, packager, notebooks)
	})
}

func inside(m *testing.M, enclosure sealed.Enclosure) (status int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv(unfitVariable) != "" {
		return m.Run()
	}
	err := progress.Stage(os.Stderr, "all nodes", func() (err error) {
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
	return status
}

func needNFS(t *testing.T) {
	t.Helper()
	if cluster == nil {
		t.Skip("left out, NFS is not tested on this machine: " + os.Getenv(unfitVariable))
	}
}
