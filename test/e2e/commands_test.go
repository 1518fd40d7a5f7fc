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

// TestCommandsOnANode runs the commands that test/pages/commands.txt lists under the name TestCommandsOnANode: the commands
// with which a user opens a notebook, and those with which an on-call engineer looks at the webhook. The test replaces the
// namespace and the Pods in the commands by objects of this cluster. It ends kubectl port-forward after one successful
// request.
func TestCommandsOnANode(t *testing.T) {
	// Without JUPYTER_TOKEN, JupyterLab makes a token and prints it.
	run(t, atStart, "typed", "alice", images.DockerStacks).ready(t)
	assertDenied(t, kubectl(t, "run", "typed-root", "-n", atStart.namespace, "--image="+images.Plain, "--labels=jupyter-user=root"), "NameReserved")
	admin := cluster.Admin.Command(t.Context())
	shell := pages.NewShell(t, admin.Env, map[string]string{"kubectl": admin.Path}, "jq", "curl")
	named := strings.NewReplacer("-n lab", "-n "+atStart.namespace, "pod/nb", "pod/typed", "logs nb", "logs typed", "<pod> -c", "typed -c",
		"port-forward <pod>", "port-forward deploy/"+systemName)
	shell.Must(t, fmt.Sprintf("cp %s kubeconfig && KUBECONFIG=kubeconfig kubectl config set-context --current --namespace=%s",
		cluster.Admin.Kubeconfig, atStart.namespace))
	copied, err := os.Stat(filepath.Join(shell.Folder, "kubeconfig"))
	require.NoError(t, err)
	require.NotZero(t, copied.Size())
	for _, command := range pages.CommandsIn(t, "TestCommandsOnANode") {
		text, want, status := named.Replace(command.Text), "", 0
		switch line := command.Line(); {
		case strings.Contains(line, "grep token="):
			want = "/lab?token="
		case strings.Contains(line, "port-forward pod/nb"):
			text, want = scriptWhile(text, "curl --silent --fail localhost:8888/api"), `"version"`
		case strings.Contains(line, "port-forward <pod> 8080"):
			text, want = scriptWhile(text, "curl --silent --fail localhost:8080/readyz"), "ok"
		case line == "curl localhost:8080/readyz":
			continue // The case of port-forward <pod> 8080 requests this address already.
		case strings.Contains(line, "injected"):
			want = "\tdenied\tNameReserved"
		case strings.Contains(line, "denied"):
			want = `"reasons":["NameReserved"]`
		case strings.Contains(line, "self-signed"):
			want = "certificate"
		case strings.HasSuffix(line, "logs nb --previous"):
			want, status = "previous terminated container", 1 // The container of this Pod has not ended yet.
		case strings.Contains(line, "check ldap"):
			want, status = "identity.ldap", 2 // This installation has no directory service.
		}
		output, code := shell.Run(t, "export KUBECONFIG=kubeconfig\n"+text)
		assert.Equal(t, status, code, "%s: %s\n%s", command.Page, text, output)
		assert.Contains(t, output, want, "%s: %s", command.Page, text)
	}
}

// scriptWhile returns a shell script that runs the given command in the background, repeats the given request until it
// succeeds (at most 300 times), and then ends the command.
func scriptWhile(command, request string) string {
	return command + " >forwarded 2>&1 &\n" +
		"for try in $(seq 300); do " + request + " && break; sleep 0.1; done\nkill $!"
}
