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
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// slowStart is a Jupyter configuration file in a home. It makes the start of the server last more than 40 s.
const slowStart = "import time\ntime.sleep(40)\n"

// otherAddress is a Jupyter configuration file in a home. It sets another address, port and base URL, HTTPS, and a name for
// new notebooks.
const otherAddress = `
c.ServerApp.port = 9999
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.base_url = "/me/"
c.ServerApp.certfile = "/home/configured/.jupyter/tls.crt"
c.ServerApp.keyfile = "/home/configured/.jupyter/tls.key"
c.ContentsManager.untitled_notebook = "of-the-users"
`

// TestProbes tests the injected probes of JupyterLab: with a slow start, with settings of the user or arguments of the Pod
// that change the address, and with a server that hangs.
func TestProbes(t *testing.T) {
	t.Parallel()
	slow := homeOf("slow")
	require.NoError(t, cluster.share.makeFolder(slow, ".jupyter"))
	require.NoError(t, cluster.share.write(slow, ".jupyter/jupyter_server_config.py", slowStart))
	configured := homeOf("configured")
	require.NoError(t, cluster.share.makeFolder(configured, ".jupyter"))
	require.NoError(t, cluster.share.write(configured, ".jupyter/jupyter_server_config.py", otherAddress))
	pair, err := pki.New(time.Hour, "configured")
	require.NoError(t, err)
	require.NoError(t, cluster.share.write(configured, ".jupyter/tls.crt", string(pair.Cert)))
	require.NoError(t, cluster.share.write(configured, ".jupyter/tls.key", string(pair.Key)))
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			t.Run("the user's own settings", func(t *testing.T) { t.Parallel(); testUserSettings(t, discovery) })
			t.Run("slow start", func(t *testing.T) { t.Parallel(); testSlow(t, discovery) })
			t.Run("server hangs", func(t *testing.T) { t.Parallel(); testHung(t, discovery) })
			t.Run("base URL", func(t *testing.T) { t.Parallel(); testBaseURL(t, discovery) })
			t.Run("port", func(t *testing.T) { t.Parallel(); testPort(t, discovery) })
		})
	}
}

// testSlow tests that a server with a slow start is not killed.
func testSlow(t *testing.T, in discovery) {
	began := time.Now()
	p := run(t, in, "slow", "slow", images.DockerStacks, withToken)
	got := p.ready(t)
	assert.GreaterOrEqual(t, time.Since(began), 40*time.Second, "the start must take 40 s")
	assert.Zero(t, got.Status.ContainerStatuses[0].RestartCount)
}

// testUserSettings tests that the server listens where the probes expect it, whatever the user's settings are, and is not
// restarted. The user's other settings, such as a name for new notebooks, have an effect. The test watches the server for
// 20 s, because with smallNodeValues five failed liveness probes, one every three seconds, would restart the container.
func testUserSettings(t *testing.T, in discovery) {
	for name, image := range map[string]string{"docker-stacks": images.DockerStacks, "z2jh": images.Z2JH} {
		t.Run(name, func(t *testing.T) {
			p := run(t, in, "configured-"+name, "configured", image, withToken)
			server := p.jupyter(t)
			made := server.Call(t, http.MethodPost, "api/contents", map[string]string{"type": "notebook"}, http.StatusCreated)
			assert.Contains(t, string(made), `"of-the-users`, "the user's own settings name it")
			got := p.await(t, readyLimit, "to have had its liveness probes", func(p *corev1.Pod) bool {
				started := p.Status.ContainerStatuses[0].State.Running
				return started == nil || time.Since(started.StartedAt.Time) > 20*time.Second
			})
			assert.Zero(t, got.Status.ContainerStatuses[0].RestartCount)
			assert.True(t, node.IsReady(got))
		})
	}
}

// testHung tests that a server that no longer responds is restarted, and serves again.
func testHung(t *testing.T, in discovery) {
	p := run(t, in, "hung", "bob", images.DockerStacks, withToken)
	p.ready(t)
	server := serverProcess(t, p.processes(t))
	require.NoError(t, syscall.Kill(server.PID, syscall.SIGSTOP))
	got := p.await(t, readyLimit, "to be restarted and Ready", func(p *corev1.Pod) bool {
		return node.IsReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1
	})
	assert.Contains(t, kubectl(t, "describe", "pod", "hung", "-n", in.namespace).Stdout, "failed liveness probe, will be restarted")
	assert.EqualValues(t, 1, got.Status.ContainerStatuses[0].RestartCount)
}

// testBaseURL tests that if the Pod's arguments set a base URL, the probes request a path below it.
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
