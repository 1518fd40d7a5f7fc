package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
)

// TestJupyterHub tests a hub whose configuration does not mention the webhook, with each discovery: the servers of its users
// run as the owners of their homes. With discovery at admission the namespace enforces restricted.
func TestJupyterHub(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			h := startHub(t, discovery.hubNamespace(), discovery.level, hub.Options{
				Release: hub.KubeSpawner7, Servers: spawnerTraits(discovery), Config: hub.Patient,
			})
			t.Run("parallel", func(t *testing.T) {
				t.Run("a user logs in and works", func(t *testing.T) { t.Parallel(); testWorkingDay(t, h, discovery) })
				t.Run("users who are denied", func(t *testing.T) { t.Parallel(); assertDenials(t, h, discovery) })
				t.Run("options", func(t *testing.T) { t.Parallel(); spawnWithOptions(t, h, discovery) })
			})
			t.Run("users log in at the same time", func(t *testing.T) { logInTogether(t, h, discovery) })
		})
	}
}

// testWorkingDay does with the hub what alice does on a working day: she logs in, uses two servers, stops one of them and
// starts it again.
func testWorkingDay(t *testing.T, h jupyterHub, discovery discovery) {
	s, second := h.logIn(t, "alice", ""), h.logIn(t, "alice", "second")
	t.Run("the browser sees JupyterLab", func(t *testing.T) {
		picture := screenshot(t, h.URL, logInAs("alice", s.Server("")+"lab")...)
		keepArtifact(t, "jupyterhub-"+discovery.namespace+".png", picture)
	})
	t.Run("a kernel runs as the owner", func(t *testing.T) { s.assertOwnedBy(t, "alice") })
	t.Run("a named server", func(t *testing.T) {
		second.start(t, nil)
		second.assertOwnedBy(t, "alice")
	})
	t.Run("stop", func(t *testing.T) {
		p := s.pod(t)
		require.NoError(t, s.Stop(t.Context(), ""))
		_, err := cluster.Client.CoreV1().Pods(p.namespace).Get(t.Context(), p.name, metav1.GetOptions{})
		assert.True(t, apierrors.IsNotFound(err), err)
		assert.Equal(t, map[string]bool{"second": true}, second.allServers(t))
	})
	t.Run("spawn again", func(t *testing.T) {
		s.start(t, nil)
		s.assertOwnedBy(t, "alice")
	})
}

// reloadEvery is the time after which a user reloads the hub's page about a starting server. The page opens the server once
// the server is ready, unless the page has lost the hub's events.
const reloadEvery = time.Minute

// logInAs returns the browser actions that log in a user whose server does not run yet, and wait until the browser shows a
// page of the server.
func logInAs(user, server string) []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{
		chromedp.SetValue(chromedp.CSS("#username_input"), user),
		chromedp.SetValue(chromedp.CSS("#password_input"), "any"),
		chromedp.Click(chromedp.CSS("#login_submit")),
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			reload := time.NewTicker(reloadEvery)
			defer reload.Stop()
			return await(ctx, readyLimit, func(ctx context.Context) (bool, error) {
				address, err := chromedp.Location()(ctx, target)
				if err != nil || strings.HasPrefix(address, server) {
					return err == nil, err
				}
				select {
				case <-reload.C:
					_, err = chromedp.Reload()(ctx, target)
				default:
				}
				return false, err
			})
		}),
	}
}

// hubUsers returns the users that logInTogether logs in: a map from the name in the hub to the name of the home. KubeSpawner
// escapes some of the hub names in the names and labels of Pods.
func hubUsers(discovery discovery) map[string]string {
	all := map[string]string{"user-1": "user-1", "alice@x.org": "alice"}
	if discovery == atStart {
		all["alice.smith"] = "alice.smith"
		for i := range 5 {
			all[crowdName(i)] = crowdName(i)
		}
	}
	return all
}

// logInTogether logs several users in at the same time (eight with discovery at start, and two with discovery at admission),
// and asserts that every server gets ready. Then it restarts the hub, and asserts that a running server can still be used.
func logInTogether(t *testing.T, h jupyterHub, discovery discovery) {
	began := time.Now()
	servers := map[string]server{}
	var group sync.WaitGroup
	for user := range hubUsers(discovery) {
		s := h.logIn(t, user, "")
		servers[user] = s
		group.Go(func() { assert.NoError(t, s.Spawn(t.Context(), "", nil)) })
	}
	group.Wait()
	for _, s := range servers {
		s.ready(t)
	}
	t.Logf("%d servers ready after %s", len(servers), time.Since(began).Round(100*time.Millisecond))
	for user, home := range hubUsers(discovery) {
		assertOwned(t, servers[user].pod(t), homeOf(home))
	}
	for _, user := range []string{"alice.smith", "user-1", "alice@x.org"} {
		if s, here := servers[user]; here {
			t.Run(user, func(t *testing.T) { s.assertOwnedBy(t, hubUsers(discovery)[user]) })
		}
	}
	t.Run("no database is on the share", func(t *testing.T) {
		servers["user-1"].jupyter(t).Save(t, "signed-"+discovery.namespace+".ipynb")
		assert.NoFileExists(t, cluster.share.path("user-1", ".local/share/jupyter/nbsignatures.db"))
	})
	assert.NotContains(t, h.Log(), "Found existing pod", "KubeSpawner must not repeat a request")
	t.Run("the hub restarts", func(t *testing.T) {
		s := servers["user-1"]
		k := s.jupyter(t).Kernel(t)
		k.Run(t, "x = 41")
		require.NoError(t, h.Restart(t.Context()))
		assert.Equal(t, "42\n", k.Run(t, "print(x + 1)"), "the kernel must keep its state, and the proxy must know the server")
		assert.Equal(t, map[string]bool{"": true}, s.allServers(t))
		assert.NoError(t, s.Stop(t.Context(), ""), "the hub must still know the server")
	})
}

// assertDenials asserts what the hub's page shows to users who are denied, and to a user without a home, whose Pod is denied
// with discovery at admission only. If the name is the reason, the hub's log must show the reason too.
func assertDenials(t *testing.T, h jupyterHub, discovery discovery) {
	for user, want := range map[string]string{
		"Alice":     "cannot be a user here: names are lower case here (user.allowUpperCase is off)",
		"123abc":    "cannot be a user here: a name begins with a to z or _",
		"bob@y.org": "is not x.org, so this may be a different user from the one with that name here",
	} {
		t.Run(user, func(t *testing.T) {
			assert.Contains(t, h.logIn(t, user, "").startDenied(t), want)
			assert.Contains(t, h.Log(), want)
		})
	}
	if discovery == atAdmission {
		t.Run("homeless", func(t *testing.T) {
			assert.Contains(t, h.logIn(t, "homeless", "").startDenied(t), "passwd has UID 5010, and there is no home on the share")
		})
		return
	}
	t.Run("homeless", func(t *testing.T) { assertNoHomeAtStart(t, h) })
}

// assertNoHomeAtStart asserts what the hub's page shows to a user without a home, with discovery at start. The page shows
// the kubelet's events. The events name the failed container, but do not contain its message.
func assertNoHomeAtStart(t *testing.T, h jupyterHub) {
	s := h.logIn(t, "homeless", "")
	require.NoError(t, s.Spawn(t.Context(), "", nil))
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	const want = "Back-off restarting failed container jupyter-user-init in pod jupyter-homeless"
	_, err := s.Progress(ctx, "", func(event hub.Event) bool { return strings.Contains(event.Message, want) })
	require.NoError(t, err)
	assertInitFailed(t, s.pod(t), "homeless has no home: /data/hpc/home/homeless does not exist on the share")
	assert.NoError(t, s.Stop(t.Context(), ""))
}
