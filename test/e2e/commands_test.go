package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/pages"
)

// TestCommandsOnANode runs the commands of test/pages/commands.txt, with other names than in the pages: those with which a user
// opens a notebook, and those with which an on-call engineer looks at the webhook. The program that forwards a port runs until it
// is ended.
func TestCommandsOnANode(t *testing.T) {
	// JupyterLab is the user's own, which makes a token and prints it.
	run(t, atStart, "typed", "alice", images.DockerStacks).ready(t)
	assertDenied(t, kubectl(t, "run", "typed-root", "-n", atStart.namespace, "--image="+images.Plain, "--labels=jupyter-user=root"), "NameReserved")
	admin := world.Admin.Command(t.Context())
	shell := pages.NewShell(t, admin.Env, map[string]string{"kubectl": admin.Path}, "jq", "curl")
	named := strings.NewReplacer("-n lab", "-n "+atStart.namespace, "pod/nb", "pod/typed", "logs nb", "logs typed", "<pod> -c", "typed -c",
		"port-forward <pod>", "port-forward deploy/"+systemName)
	shell.Must(t, fmt.Sprintf("cp %s kubeconfig && KUBECONFIG=kubeconfig kubectl config set-context --current --namespace=%s",
		world.Admin.Kubeconfig, atStart.namespace))
	copied, err := os.Stat(filepath.Join(shell.Folder, "kubeconfig"))
	require.NoError(t, err)
	require.NotZero(t, copied.Size())
	for _, command := range pages.CommandsIn(t, "TestCommandsOnANode") {
		text, says, status := named.Replace(command.Text), "", 0
		switch line := command.Line(); {
		case strings.Contains(line, "grep token="):
			says = "/lab?token="
		case strings.Contains(line, "port-forward pod/nb"):
			text, says = scriptWhile(text, "curl --silent --fail localhost:8888/api"), `"version"`
		case strings.Contains(line, "port-forward <pod> 8080"):
			text, says = scriptWhile(text, "curl --silent --fail localhost:8080/readyz"), "ok"
		case line == "curl localhost:8080/readyz":
			continue // The command before contains it.
		case strings.Contains(line, "denied"):
			says = `"reasons":["NameReserved"]`
		case strings.Contains(line, "self-signed"):
			says = "certificate"
		case strings.Contains(line, "check ldap"):
			says, status = "identity.ldap", 2 // This installation has no directory service.
		}
		said, ended := shell.Run(t, "export KUBECONFIG=kubeconfig\n"+text)
		assert.Equal(t, status, ended, "%s: %s\n%s", command.Page, text, said)
		assert.Contains(t, said, says, "%s: %s", command.Page, text)
	}
}

// scriptWhile returns a script that runs a command until another one, tried again and again, succeeds.
func scriptWhile(command, other string) string {
	return command + " >forwarded 2>&1 &\n" +
		"for try in $(seq 300); do " + other + " && break; sleep 0.1; done\nkill $!"
}
