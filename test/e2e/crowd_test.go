package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// crowdLimit is the time limit until each Pod of TestCrowd is Ready, on a machine with two cores.
const crowdLimit = 20 * time.Minute

// maxSlowness is how many times slower than usual the machine may be. If it was slower at any time, restarts by probes do
// not fail TestCrowd.
const maxSlowness = 3

// TestCrowd runs notebooks of crowdSize users at the same time, half of them with discovery at start and half with
// discovery at admission. Ten of the notebooks are JupyterLab. The others are the small server of the image Plain.
func TestCrowd(t *testing.T) {
	watch, restarted := machine.WatchDuring(t), int32(0)
	began := time.Now()
	pods := make([]pod, crowdSize)
	for i := range pods {
		pods[i] = removeAtEnd(t, discoveries[i%2].namespace, crowdName(i))
	}
	var group sync.WaitGroup
	for i, p := range pods {
		arguments := []string{"run", p.name, "-n", p.namespace, "--labels=jupyter-user=" + p.name}
		if i < 10 {
			arguments = append(arguments, "--image="+images.DockerStacks)
		} else {
			arguments = append(arguments, "--image="+images.Plain, withProbes, "--command", "--", "hello")
		}
		group.Go(func() {
			result, err := cluster.carol.Kubectl(t.Context(), arguments...)
			assert.NoError(t, err)
			assert.Zero(t, result.ExitCode, result.Stderr)
		})
	}
	group.Wait()
	require.False(t, t.Failed())
	t.Logf("%d pods admitted after %s", crowdSize, time.Since(began).Round(100*time.Millisecond))
	for i, p := range pods {
		got := p.await(t, crowdLimit, "to be Ready", node.IsReady)
		if restarts := got.Status.ContainerStatuses[0].RestartCount; watch.Slowest() > maxSlowness {
			restarted += restarts
		} else {
			assert.Zero(t, restarts, p.name)
		}
		assertOwned(t, p, homeOf(crowdName(i)))
	}
	if restarted > 0 {
		t.Logf("not judged: %d restarts by probes, on a machine up to %.1f times slower than usual", restarted, watch.Slowest())
	}
	t.Logf("%d pods Ready after %s", crowdSize, time.Since(began).Round(100*time.Millisecond))
	removeAll(t, pods)
}

// removeAll removes Pods at the same time, because each removal waits for the end of its Pod.
func removeAll(t *testing.T, pods []pod) {
	t.Helper()
	var group sync.WaitGroup
	for _, p := range pods {
		group.Go(func() { assert.NoError(t, p.remove(t.Context())) })
	}
	group.Wait()
}
