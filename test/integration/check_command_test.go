package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	process "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/deploy"
)

func (l *checkedCluster) command(t *testing.T, binary, kubeconfig string, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := process.CommandContext(t.Context(), binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *process.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return command.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func buildProgram(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "jupyter-user-webhook")
	build := process.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/jupyter-user-webhook")
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	return binary
}

func checkCommand(t *testing.T, l *checkedCluster) {
	binary := buildProgram(t)
	manifest := filepath.Join(t.TempDir(), "install.yaml")
	require.NoError(t, os.WriteFile(manifest, []byte(l.calledByAddress(string(deploy.Install()))), 0o600))
	began := time.Now()
	status, out, stderr := l.command(t, binary, l.Admin.Kubeconfig, "check", "-f", manifest)
	t.Logf("check took %s", time.Since(began))
	assert.Equal(t, 1, status, stderr)
	assert.Empty(t, stderr)
	assert.Regexp(t, `\ASTATUS +CHECK +FINDING\nfailed  certificate +`, out)
	assert.Regexp(t, `\n\d+ failed, 0 unknown, 0 warnings, \d+ ok\n\z`, out)

	status, out, stderr = l.command(t, binary, l.Admin.Kubeconfig, "check", "--only=policies")
	assert.Equal(t, 2, status, "Helm has not installed this")
	assert.Contains(t, strings.Join(strings.Fields(out), " "), "helm get manifest jupyter-user-webhook -n jupyter-user-system | "+
		"jupyter-user-webhook check -f -; without Helm, give the manifest that was applied: jupyter-user-webhook check -f deploy/install.yaml")
	assert.Contains(t, stderr, "nothing failed, but the result of 1 is unknown")

	status, out, _ = l.command(t, binary, l.Admin.Kubeconfig, "check", "-o", "json", "-n", "nowhere")
	assert.Equal(t, 1, status)
	var findings []check.Finding
	require.NoError(t, json.Unmarshal([]byte(out), &findings))
	assertFound(t, findings, "claims", check.Failed, "namespace nowhere: does not exist")

	for says, args := range map[string][]string{
		`-o "yaml" is none of table, json`:                    {"check", "-o", "yaml"},
		"no such file":                                        {"check", "--kubeconfig", "/nowhere"},
		`context "other" does not exist`:                      {"check", "--context", "other"},
		`required flag(s) "user" not set`:                     {"check", "access"},
		"--as-group needs --as too":                           {"check", "access", "--user", "alice", "--as-group", "x"},
		"it took longer":                                      {"check", "--timeout", "1ns"},
		"has no MutatingWebhookConfiguration: give all of it": {"check", "-f", "../../deploy/examples/checker.yaml"},
		"--filename has an empty value":                       {"check", "-f", ""},
	} {
		status, out, errs := l.command(t, binary, l.Admin.Kubeconfig, args...)
		assert.Equal(t, 2, status, says)
		assert.Empty(t, out, says)
		assert.Contains(t, errs, says)
	}
	status, out, stderr = l.command(t, binary, l.Admin.Kubeconfig, "check", "access", "--as", "carol", "--user", "alice", "-n", "lab")
	assert.Zero(t, status, stderr)
	assert.Contains(t, out, "carol may be alice in namespace lab\n\nVERB")
	status, out, _ = l.command(t, binary, l.Admin.Kubeconfig, "check", "access", "--as", "mallory", "--user", "alice", "-n", "lab", "-o", "json")
	assert.Equal(t, 1, status)
	assert.Contains(t, out, `"may": false`)
}
