package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
)

// TestJupyterHub: a hub that works without the webhook works with it, in either way, and its users' servers are the owners of their
// homes.
func TestJupyterHub(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			h := startHub(t, way.hub(), way.level, hub.Options{Release: hub.KubeSpawner7})
			t.Run("somebody logs in and works", func(t *testing.T) { logsInAndWorks(t, h, way) })
		})
	}
}

func logsInAndWorks(t *testing.T, h jupyterHub, way way) {
	s := h.logIn(t, "alice", "")
	picture := screenshot(t, h.URL, logInAs("alice", s.Server("")+"lab")...)
	keepArtifact(t, "jupyterhub-"+way.namespace+".png", picture)
	s.assertOwnedBy(t, "alice")
}

// logInAs logs somebody in, who has no server, and waits for the page to become the server's.
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
