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

// TestJupyterHub tests that a hub that works without the webhook works with it, with either discovery, and its users' servers
// run as the owners of their homes. With discovery at admission the namespace enforces restricted.
func TestJupyterHub(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			h := startHub(t, discovery.hub(), discovery.level, hub.Options{Release: hub.KubeSpawner7, Servers: spawnerTraits(discovery),
				Config: hub.Patient})
			t.Run("together", func(t *testing.T) {
				t.Run("a user logs in and works", func(t *testing.T) { t.Parallel(); testWorkingDay(t, h, discovery) })
				t.Run("users who are denied", func(t *testing.T) { t.Parallel(); assertWhoIsDenied(t, h, discovery) })
				t.Run("options", func(t *testing.T) { t.Parallel(); spawnWithOptions(t, h, discovery) })
			})
			t.Run("users log in at once", func(t *testing.T) { logInAtOnce(t, h, discovery) })
		})
	}
}

// testWorkingDay does with the hub what alice does on a working day.
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
		_, err := world.Client.CoreV1().Pods(p.namespace).Get(t.Context(), p.name, metav1.GetOptions{})
		assert.True(t, apierrors.IsNotFound(err), err)
		assert.Equal(t, map[string]bool{"second": true}, second.all(t))
	})
	t.Run("spawn again", func(t *testing.T) {
		s.start(t, nil)
		s.assertOwnedBy(t, "alice")
	})
}

// logInAs logs a user in who has no server, and waits until the page is the server's.
func logInAs(user, server string) []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{
		chromedp.SetValue(chromedp.CSS("#username_input"), user),
		chromedp.SetValue(chromedp.CSS("#password_input"), "any"),
		chromedp.Click(chromedp.CSS("#login_submit")),
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			return await(ctx, readyLimit, func(ctx context.Context) (bool, error) {
				address, err := chromedp.Location()(ctx, target)
				return strings.HasPrefix(address, server), err
			})
		}),
	}
}

// users returns users of a hub, by the names of their homes. For some of them KubeSpawner changes the name in the Pod's name and
// label.
func users(discovery discovery) map[string]string {
	all := map[string]string{"user-1": "user-1", "alice@x.org": "alice"}
	if discovery == atStart {
		all["alice.smith"] = "alice.smith"
		for i := range 5 {
			all[crowdName(i)] = crowdName(i)
		}
	}
	return all
}

// logInAtOnce: with discovery at start eight users log in at once, and every server gets ready. Then the hub is restarted, and
// they work on.
func logInAtOnce(t *testing.T, h jupyterHub, discovery discovery) {
	began := time.Now()
	servers := map[string]server{}
	var group sync.WaitGroup
	for user := range users(discovery) {
		s := h.logIn(t, user, "")
		servers[user] = s
		group.Go(func() { assert.NoError(t, s.Spawn(t.Context(), "", nil)) })
	}
	group.Wait()
	for _, s := range servers {
		s.ready(t)
	}
	t.Logf("%d servers ready after %s", len(servers), time.Since(began).Round(100*time.Millisecond))
	for user, home := range users(discovery) {
		assertOwned(t, servers[user].pod(t), homeOf(home))
	}
	for _, user := range []string{"alice.smith", "user-1", "alice@x.org"} {
		if s, here := servers[user]; here {
			t.Run(user, func(t *testing.T) { s.assertOwnedBy(t, users(discovery)[user]) })
		}
	}
	t.Run("no database is on the share", func(t *testing.T) {
		servers["user-1"].jupyter(t).Save(t, "signed-"+discovery.namespace+".ipynb")
		assert.NoFileExists(t, world.share.path("user-1", ".local/share/jupyter/nbsignatures.db"))
	})
	assert.NotContains(t, h.Log(), "Found existing pod", "KubeSpawner had to ask again")
	t.Run("the hub restarts", func(t *testing.T) {
		s := servers["user-1"]
		k := s.jupyter(t).Kernel(t)
		k.Run(t, "x = 41")
		require.NoError(t, h.Restart(t.Context()))
		assert.Equal(t, "42\n", k.Run(t, "print(x + 1)"), "the server goes on, and the proxy knows where")
		assert.Equal(t, map[string]bool{"": true}, s.all(t))
		assert.NoError(t, s.Stop(t.Context(), ""), "it still knows the server")
	})
}

// assertWhoIsDenied: the hub's page shows the webhook's denial to the user.
func assertWhoIsDenied(t *testing.T, h jupyterHub, discovery discovery) {
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
	t.Run("homeless", func(t *testing.T) { hasNoHomeAtStart(t, h) })
}

// hasNoHomeAtStart: for a user without a home, the hub's page shows events. The kubelet's events name the failed container, but
// do not contain its message.
func hasNoHomeAtStart(t *testing.T, h jupyterHub) {
	s := h.logIn(t, "homeless", "")
	require.NoError(t, s.Spawn(t.Context(), "", nil))
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	const want = "Back-off restarting failed container jupyter-user-init in pod jupyter-homeless"
	_, err := s.Progress(ctx, "", func(event hub.Event) bool { return strings.Contains(event.Message, want) })
	require.NoError(t, err)
	assertStopped(t, s.pod(t), "homeless has no home: /data/hpc/home/homeless does not exist on the share")
	assert.NoError(t, s.Stop(t.Context(), ""))
}
