// Package helm runs the packager of the chart in deploy/chart, for tests.
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

// Release and Namespace are what everything here is installed as.
const (
	Release   = "jupyter-user-webhook"
	Namespace = "jupyter-user-system"
)

// Helm is the program, for one cluster or for none.
type Helm struct {
	// Kubeconfig of the installing account; empty where nothing is.
	Kubeconfig string
	// Folder for what helm remembers. None of it belongs to the account that runs this.
	Folder string

	program string
}

// New gives the program, after building it if need be.
func New(ctx context.Context, progress io.Writer, folder string) (*Helm, error) {
	paths, err := tools.Build(ctx, progress, tools.Helm)
	if err != nil {
		return nil, err
	}
	return &Helm{Folder: folder, program: paths[tools.Helm]}, nil
}

// Chart is the folder of the chart.
func Chart() (string, error) {
	folder, err := project.Folder()
	return filepath.Join(folder, "deploy", "chart"), err
}

// Run runs it, and answers what it said. What it complains of is the error.
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

// Template renders the chart with values, as YAML.
func (h *Helm) Template(ctx context.Context, values string, arguments ...string) (deploy.Rendered, error) {
	chart, err := Chart()
	if err != nil {
		return "", err
	}
	rendered, err := h.Run(ctx, values, append([]string{"template", Release, chart, "--namespace", Namespace, "--values", "-"},
		arguments...)...)
	return deploy.Rendered(rendered), err
}
