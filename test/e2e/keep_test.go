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

// This file is for make e2e KEEP=1, which leaves the cluster running. The cluster has its own network namespace, which the
// kubectl and the browser of a developer cannot reach. So the API server and one notebook each have a tunnel (see the package
// sealed). kubectl port-forward uses the tunnel of the API server.

const (
	apiTunnel      = "api"
	notebookTunnel = "notebook"
)

// recordTunnel runs outside the enclosure. It stores the listening address of a tunnel in an environment variable, which
// the process inside the enclosure inherits.
func recordTunnel(tunnel, address string) { _ = os.Setenv(tunnelVariable(tunnel), address) }

func tunnelVariable(tunnel string) string { return "E2E_TUNNEL_" + tunnel }

// keepRunning starts a JupyterLab, prints how to use the cluster, and waits. Ctrl-C ends the enclosure, and with it this process.
func (c *testCluster) keepRunning(ctx context.Context) error {
	kubeconfig, err := c.outsideKubeconfig()
	if err != nil {
		return fmt.Errorf("keep the cluster: %w", err)
	}
	lab, err := c.runLab(ctx)
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
`, lab, kubeconfig, c.Enclosure.Folder)
	<-ctx.Done()
	return nil
}

// runLab runs a JupyterLab of alice as carol, and returns its address on this machine, with its token.
func (c *testCluster) runLab(ctx context.Context) (string, error) {
	const name = "lab"
	secret := rand.Text()
	result, err := c.carol.Kubectl(ctx, "run", name, "-n", atAdmission.namespace, "--image="+images.DockerStacks,
		"--labels=jupyter-user=alice", "--env=JUPYTER_TOKEN="+secret)
	if err != nil {
		return "", err
	}
	if result.ExitCode != 0 {
		return "", fmt.Errorf("kubectl run: %s", result.Stderr)
	}
	var ready *corev1.Pod
	err = await(ctx, readyLimit, func(ctx context.Context) (bool, error) {
		ready, err = c.Client.CoreV1().Pods(atAdmission.namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && node.IsReady(ready), err
	})
	if err != nil {
		return "", err
	}
	if err := c.Enclosure.Open(notebookTunnel, net.JoinHostPort(ready.Status.PodIP, "8888")); err != nil {
		return "", err
	}
	return "http://" + os.Getenv(tunnelVariable(notebookTunnel)) + "/lab?token=" + secret, nil
}

// outsideKubeconfig writes the admin's kubeconfig with the address of the API server's tunnel, and returns its path.
func (c *testCluster) outsideKubeconfig() (string, error) {
	server, err := url.Parse(c.Admin.Config.Host)
	if err != nil {
		return "", err
	}
	if err := c.Enclosure.Open(apiTunnel, server.Host); err != nil {
		return "", err
	}
	data, err := os.ReadFile(c.Admin.Kubeconfig)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Enclosure.Folder, "kubeconfig")
	text := strings.ReplaceAll(string(data), server.Host, os.Getenv(tunnelVariable(apiTunnel)))
	return path, os.WriteFile(path, []byte(text), 0o600)
}
