// Package helm runs the real Helm on the chart in deploy/chart, for tests.
package helm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/project"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// Release is the name of the Helm release that the tests install, and Namespace is its namespace.
const (
	Release   = "jupyter-user-webhook"
	Namespace = "jupyter-user-system"
)

// Helm is the program helm, with its settings.
type Helm struct {
	// Kubeconfig is the path of the kubeconfig with which helm installs. It is empty if the test installs nothing.
	Kubeconfig string
	// Folder holds Helm's cache, configuration and data, so that a test does not touch those of the developer.
	Folder string

	program string
}

// New returns a Helm without a kubeconfig, with the given Folder. It builds the program helm first if the cache does not
// have it.
func New(ctx context.Context, progress io.Writer, folder string) (*Helm, error) {
	paths, err := tools.Build(ctx, progress, tools.Helm)
	if err != nil {
		return nil, err
	}
	return &Helm{Folder: folder, program: paths[tools.Helm]}, nil
}

// Chart returns the folder of the chart.
func Chart() (string, error) {
	folder, err := project.Folder()
	return filepath.Join(folder, "deploy", "chart"), err
}

// Run runs helm and returns its standard output. If helm fails, the error contains its standard error.
func (h *Helm) Run(ctx context.Context, stdin string, arguments ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, h.program, arguments...)
	command.Env = append(command.Environ(), "KUBECONFIG="+h.Kubeconfig, "HELM_CACHE_HOME="+h.Folder, "HELM_CONFIG_HOME="+h.Folder,
		"HELM_DATA_HOME="+h.Folder)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", arguments[0], err, stderr.String())
	}
	return stdout.String(), nil
}

// Template renders the chart with values in YAML and further arguments of helm template.
func (h *Helm) Template(ctx context.Context, values string, arguments ...string) (deploy.Rendered, error) {
	chart, err := Chart()
	if err != nil {
		return "", err
	}
	rendered, err := h.Run(ctx, values, append([]string{"template", Release, chart, "--namespace", Namespace, "--values", "-"},
		arguments...)...)
	return deploy.Rendered(rendered), err
}
