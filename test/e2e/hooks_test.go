package e2e

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// podWithHooks is a Pod with each kind of hook and each kind of exec probe. The test may read a file while a probe writes
// it again, so each command writes a temporary file, and renames the complete file.
const podWithHooks = `
apiVersion: v1
kind: Pod
metadata:
  name: hooked
  labels: {jupyter-user: alice}
spec:
  containers:
  - name: nb
    image: ` + images.Plain + `
    command: [hello]
    lifecycle:
      postStart: {exec: {command: [sh, -c, "id > $HOME/.new-p; pwd >> $HOME/.new-p; mv $HOME/.new-p $HOME/post-start"]}}
      preStop: {exec: {command: [sh, -c, "id > $HOME/.new-e; mv $HOME/.new-e $HOME/pre-stop"]}}
    startupProbe: {exec: {command: [sh, -c, "id > $HOME/.new-s; mv $HOME/.new-s $HOME/startup"]}, periodSeconds: 1}
    readinessProbe: {exec: {command: [sh, -c, "id > $HOME/.new-r; mv $HOME/.new-r $HOME/readiness"]}, periodSeconds: 1}
    livenessProbe: {exec: {command: [sh, -c, "id > $HOME/.new-l; mv $HOME/.new-l $HOME/liveness"]}, periodSeconds: 1}
`

// TestHooksAndExecProbes tests that hooks and exec probes run as the user, and that a hook starts in the home.
func TestHooksAndExecProbes(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			names := []string{"post-start", "startup", "readiness", "liveness", "pre-stop"}
			t.Cleanup(func() {
				for _, name := range names {
					assert.NoError(t, os.Remove(cluster.share.path("alice", name)))
				}
				for _, letter := range "psrle" { // A killed command leaves its temporary file.
					assert.NoError(t, os.RemoveAll(cluster.share.path("alice", ".new-"+string(letter))))
				}
			})
			p := create(t, discovery, "hooked", podWithHooks)
			p.ready(t)
			p.await(t, readyLimit, "to have had a liveness probe", func(*corev1.Pod) bool {
				_, err := os.Stat(cluster.share.path("alice", "liveness"))
				return err == nil
			})
			result := kubectl(t, "delete", "pod", "hooked", "-n", discovery.namespace, "--timeout=60s")
			require.Zero(t, result.ExitCode, result.Stderr)
			for _, name := range names {
				content, err := os.ReadFile(cluster.share.path("alice", name))
				require.NoError(t, err)
				want := "uid=5001(alice) gid=6001(alice) groups=6001(alice)\n"
				if name == "post-start" {
					want += "/home/alice\n"
				}
				assert.Equal(t, want, string(content), name)
			}
		})
	}
}
