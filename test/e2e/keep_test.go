package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// For KEEP=1. The cluster is in its own namespaces, but a user's kubectl and browser are outside. The API server and one notebook
// each have a door to the outside, and port-forward uses that of the API server.

const (
	apiDoor      = "api"
	notebookDoor = "notebook"
)

// recordDoor stores the outside address of a door for the process inside.
func recordDoor(door, address string) { _ = os.Setenv(doorVariable(door), address) }

func doorVariable(door string) string { return "E2E_DOOR_" + door }

// keep keeps everything running until Ctrl-C, with a JupyterLab to use.
func (w *World) keep(ctx context.Context) error {
	kubeconfig, err := w.outsideKubeconfig()
	if err != nil {
		return fmt.Errorf("keep the cluster: %w", err)
	}
	lab, err := w.runLab(ctx)
	if err != nil {
		return fmt.Errorf("run a notebook: %w", err)
	}
	fmt.Fprintf(os.Stderr, `
JupyterLab of alice, on a real node. Open it in a browser on this machine; in its terminal, whoami says alice:

  %s

The cluster is up until Ctrl-C. In another terminal, as root:

  export KUBECONFIG=%s
  kubectl run nb -n at-start --image=localhost/docker-stacks:test --labels=jupyter-user=alice
  kubectl logs nb -n at-start | grep token=
  kubectl port-forward -n at-start pod/nb 8888

Everything of the node is in %s. A shell beside it: nsenter --all --target "$(pgrep -n kubelet)"
`, lab, kubeconfig, w.Enclosure.Folder)
	<-ctx.Done()
	return nil
}

// runLab runs JupyterLab as carol, and returns its address on this machine, with its token.
func (w *World) runLab(ctx context.Context) (string, error) {
	const name = "lab"
	secret := rand.Text()
	result, err := w.carol.Kubectl(ctx, "run", name, "-n", atAdmission.namespace, "--image="+images.DockerStacks,
		"--labels=jupyter-user=alice", "--env=JUPYTER_TOKEN="+secret)
	if err != nil || result.ExitCode != 0 {
		return "", fmt.Errorf("kubectl run: %s: %w", result.Stderr, err)
	}
	var ready *corev1.Pod
	err = await(ctx, readyLimit, func(ctx context.Context) (bool, error) {
		ready, err = w.Client.CoreV1().Pods(atAdmission.namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && node.IsReady(ready), err
	})
	if err != nil {
		return "", err
	}
	if err := w.Enclosure.Open(notebookDoor, net.JoinHostPort(ready.Status.PodIP, "8888")); err != nil {
		return "", err
	}
	return "http://" + os.Getenv(doorVariable(notebookDoor)) + "/lab?token=" + secret, nil
}

// outsideKubeconfig returns the admin's kubeconfig with the address of the door.
func (w *World) outsideKubeconfig() (string, error) {
	server, err := url.Parse(w.Admin.Config.Host)
	if err != nil {
		return "", err
	}
	if err := w.Enclosure.Open(apiDoor, server.Host); err != nil {
		return "", err
	}
	data, err := os.ReadFile(w.Admin.Kubeconfig)
	if err != nil {
		return "", err
	}
	path := filepath.Join(w.Enclosure.Folder, "kubeconfig")
	text := strings.ReplaceAll(string(data), server.Host, os.Getenv(doorVariable(apiDoor)))
	return path, os.WriteFile(path, []byte(text), 0o600)
}
