package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// slowToCome is Jupyter's own configuration file, in the home of somebody whose server takes long to come up.
const slowToCome = "import time\ntime.sleep(40)\n"

// TestProbes are about JupyterLab as it is on a good day and on a bad one.
func TestProbes(t *testing.T) {
	slow := homeOf("slow")
	require.NoError(t, world.share.makeFolder(slow, ".jupyter"))
	require.NoError(t, world.share.write(slow, ".jupyter/jupyter_server_config.py", slowToCome))
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			t.Run("forty seconds to come up", func(t *testing.T) { t.Parallel(); testSlow(t, discovery) })
			t.Run("hung", func(t *testing.T) { t.Parallel(); testHung(t, discovery) })
			t.Run("base URL", func(t *testing.T) { t.Parallel(); testBaseURL(t, discovery) })
			t.Run("another port", func(t *testing.T) { t.Parallel(); testPort(t, discovery) })
		})
	}
}

// testSlow: it is not killed.
func testSlow(t *testing.T, in discovery) {
	began := time.Now()
	p := run(t, in, "slow", "slow", images.DockerStacks, withToken)
	got := p.ready(t)
	assert.GreaterOrEqual(t, time.Since(began), 40*time.Second, "it was slow indeed")
	assert.Zero(t, got.Status.ContainerStatuses[0].RestartCount)
}

// testHung: it is restarted, and comes back.
func testHung(t *testing.T, in discovery) {
	p := run(t, in, "hung", "bob", images.DockerStacks, withToken)
	p.ready(t)
	server := theServer(t, p.processes(t))
	require.NoError(t, syscall.Kill(server.PID, syscall.SIGSTOP))
	got := p.await(t, readyLimit, "to be restarted and Ready", func(p *corev1.Pod) bool {
		return node.IsReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1
	})
	assert.Contains(t, kubectl(t, "describe", "pod", "hung", "-n", in.namespace).Stdout, "failed liveness probe, will be restarted")
	assert.EqualValues(t, 1, got.Status.ContainerStatuses[0].RestartCount)
}

// testBaseURL: the way a hub gives it.
func testBaseURL(t *testing.T, in discovery) {
	p := run(t, in, "based", "alice", images.DockerStacks, withToken, "--", "start-notebook.py", "--ServerApp.base_url=/user/alice/")
	got := p.ready(t)
	assert.Equal(t, "/user/alice/api", got.Spec.Containers[0].ReadinessProbe.HTTPGet.Path)
	p.jupyter(t).Call(t, http.MethodGet, "user/alice/api/status", nil, http.StatusOK)
}

func testPort(t *testing.T, in discovery) {
	p := run(t, in, "ported", "alice", images.DockerStacks, withToken, "--", "start-notebook.py", "--ServerApp.port=9999")
	got := p.ready(t)
	assert.Equal(t, 9999, got.Spec.Containers[0].ReadinessProbe.HTTPGet.Port.IntValue())
	server := p.jupyter(t)
	server.Base = strings.Replace(server.Base, ":8888", ":9999", 1)
	server.Call(t, http.MethodGet, "api/status", nil, http.StatusOK)
}
