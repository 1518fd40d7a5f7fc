package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// replacements are ways to replace a home while its Pod exists. Only the owner of the directory that contains the homes can
// do this.
var replacements = map[string]func(path string) error{
	// The kubelet follows a relative link inside the share.
	"a link to another user's home": func(path string) error {
		return errors.Join(os.RemoveAll(path), os.Symlink("many-files", path))
	},
	"another user's directory": func(path string) error {
		return errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700), os.Chown(path, 5002, 6002), os.WriteFile(path+"/file-0", nil, 0o600))
	},
}

// testEachReplacement runs a test for each replacement with each discovery, in parallel. The first run has the user
// crowdName(i-1), the next crowdName(i-2), and so on, so that no two runs share a home.
func testEachReplacement(t *testing.T, i int, test func(t *testing.T, in discovery, user string, replace func() error)) {
	t.Helper()
	for name, replace := range replacements {
		for _, discovery := range discoveries {
			i--
			user := homeOf(crowdName(i))
			t.Run(name+"/"+discovery.name, func(t *testing.T) {
				t.Parallel()
				path := cluster.share.path(user.name)
				t.Cleanup(func() {
					require.NoError(t, os.RemoveAll(path))
					require.NoError(t, cluster.share.makeHome(user))
				})
				test(t, discovery, user.name, func() error { return replace(path) })
			})
		}
	}
}

// TestHomeReplacedAfterInitContainer replaces the home after the init container has checked it, and before the kubelet
// mounts it for the notebook container.
func TestHomeReplacedAfterInitContainer(t *testing.T) {
	t.Parallel()
	testEachReplacement(t, crowdSize, func(t *testing.T, in discovery, user string, swap func() error) {
		p := run(t, in, user, user, images.Plain, withProbes, "--command", "--", "hello")
		hold := p.holdInit(t)
		require.NoError(t, swap())
		continueInit(t, hold)
		assertReplacedHomeClosed(t, p, in, 0)
	})
}

// TestHomeReplacedBetweenStarts replaces the home between two starts of the notebook container. For the second start, the
// kubelet mounts what is at the path of the home by then.
func TestHomeReplacedBetweenStarts(t *testing.T) {
	t.Parallel()
	testEachReplacement(t, crowdSize/2, func(t *testing.T, in discovery, user string, swap func() error) {
		p := run(t, in, user, user, images.Plain, withProbes, "--command", "--", "hello")
		p.ready(t)
		require.NoError(t, swap())
		killNotebook(t, p)
		assertReplacedHomeClosed(t, p, in, 1)
	})
}

// assertReplacedHomeClosed asserts that the notebook cannot use the directory that replaced the home. With discovery at
// start, jupyter-user-init notices that the mounted directory is not the home that it has checked. With discovery at
// admission no program checks the directory again, but its mode allows only its owner, who is another user, to enter it.
func assertReplacedHomeClosed(t *testing.T, p pod, in discovery, restarts int32) {
	t.Helper()
	owner, home := homeOf(p.name), "/home/"+p.name
	if in == atStart {
		got := p.await(t, readyLimit, "to report the replaced home", func(p *corev1.Pod) bool {
			last := p.Status.ContainerStatuses[0].LastTerminationState.Terminated
			return last != nil && last.Message != ""
		})
		assert.Regexp(t, fmt.Sprintf(`^jupyter-user-init: %s belongs to UID (5002|5005) now, and was %s's \(%d\) when the pod started`, home, owner.name, owner.uid),
			got.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message)
		return
	}
	p.await(t, readyLimit, "to run", func(p *corev1.Pod) bool {
		return node.IsReady(p) && p.Status.ContainerStatuses[0].RestartCount == restarts
	})
	assertOwned(t, p, owner)
	for _, result := range []controlplane.Result{
		p.exec(t, "ls", home), p.exec(t, "ls", "."), p.exec(t, "cat", home+"/file-0"), p.exec(t, "touch", home+"/planted"),
	} {
		assert.NotZero(t, result.ExitCode, result.Stdout)
		assert.Contains(t, result.Stderr, "Permission denied")
	}
}
