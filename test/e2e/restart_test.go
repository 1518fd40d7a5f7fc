package e2e

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// writeEverywhere is a Python script that tries to append to every file, and to create a few files in every folder, below
// the usual top directories. It prints the paths to which it could write.
const writeEverywhere = `
import os
wrote = []
for top in ["/bin", "/config", "/data", "/dev", "/etc", "/home", "/opt", "/run", "/srv", "/tmp", "/usr", "/var"]:
    for folder, folders, files in os.walk(top):
        for name in files + ["vandalised", "uid-gid.env", "passwd", "tini", "start.sh"]:
            path = os.path.join(folder, name)
            if os.path.islink(path) or os.path.exists(path) and not os.path.isfile(path):
                continue
            try:
                with open(path, "a") as file:
                    file.write("# vandalised\n")
                wrote.append(path)
            except OSError:
                pass
print("\n".join(wrote))
`

// TestRestart tests that a restarted notebook container runs as the owner again, after the user has written to all files
// that writeEverywhere can change. At a restart init containers do not run again, but with discovery at start the notebook
// container begins as root again.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			p := run(t, discovery, "restarted", "emptied", images.DockerStacks, withToken)
			wrote := strings.Fields(p.jupyter(t).Kernel(t).Run(t, writeEverywhere))
			assert.Contains(t, wrote, "/home/emptied/vandalised", "the home is the user's")
			for _, path := range wrote {
				for _, closed := range []string{"/config/", "/etc/", "/usr/", "/bin/", "/opt/"} {
					assert.False(t, strings.HasPrefix(path, closed), path)
				}
			}
			killNotebook(t, p)
			p.await(t, readyLimit, "to be restarted and Ready", func(p *corev1.Pod) bool {
				return node.IsReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1
			})
			assertOwned(t, p, homeOf("emptied"))
			answer := p.jupyter(t).Kernel(t).Run(t, "import os; print(os.getuid(), os.getcwd())")
			assert.Equal(t, "5008 /home/emptied\n", answer)
			emptyHome(t, "emptied")
		})
	}
}

// TestRestartWithChangedHome tests that with discovery at start, jupyter-user-init checks the home at every start of the
// notebook container. If another directory is at the path of the home by then, the kubelet mounts that directory.
func TestRestartWithChangedHome(t *testing.T) {
	path := cluster.share.path("replaced")
	for name, c := range map[string]struct {
		change func() error
		want   string
	}{
		"another owner": {
			func() error { return os.Chown(path, 5002, 6002) },
			"/home/replaced belongs to UID 5002 now, and was replaced's (5006) when the pod started: create the Pod again"},
		"another directory of the same owner": {
			// A mounted directory keeps its inode in use, so the new directory gets another inode.
			func() error { return errors.Join(os.RemoveAll(path), cluster.share.makeHome(homeOf("replaced"))) },
			"/home/replaced is another directory than the one that the init container found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() {
				require.NoError(t, os.RemoveAll(path))
				require.NoError(t, cluster.share.makeHome(homeOf("replaced")))
			})
			p := run(t, atStart, "moved", "replaced", images.DockerStacks)
			p.ready(t)
			require.NoError(t, c.change())
			killNotebook(t, p)
			got := p.await(t, readyLimit, "to report the changed home", func(p *corev1.Pod) bool {
				last := p.Status.ContainerStatuses[0].LastTerminationState.Terminated
				return last != nil && last.Message != ""
			})
			assert.Contains(t, got.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message, c.want)
		})
	}
}

// killNotebook kills the first process of the notebook container, so that the kernel kills all its other processes.
func killNotebook(t *testing.T, p pod) {
	t.Helper()
	require.NoError(t, syscall.Kill(firstProcess(t, p).PID, syscall.SIGKILL))
}

func emptyHome(t *testing.T, name string) {
	t.Helper()
	entries, err := os.ReadDir(cluster.share.path(name))
	require.NoError(t, err)
	for _, entry := range entries {
		require.NoError(t, os.RemoveAll(cluster.share.path(name, entry.Name())))
	}
}
