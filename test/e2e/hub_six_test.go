package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
)

// TestKubeSpawner6 runs a hub with KubeSpawner 6, which gives Pods other names and labels than version 7. The hub may use
// only two homes.
func TestKubeSpawner6(t *testing.T) {
	t.Parallel()
	h := startHub(t, "jhub-six", "baseline", hub.Options{Release: hub.KubeSpawner6}, "bob", "alice.smith")
	t.Run("alice.smith", func(t *testing.T) {
		s := h.logIn(t, "alice.smith", "")
		s.start(t, nil)
		s.assertOwnedBy(t, "alice.smith")
		assert.Equal(t, "jupyter-alice-2esmith", s.pod(t).name)
		assert.NoError(t, s.Stop(t.Context(), ""))
	})
	t.Run("a home that the hub may not use", func(t *testing.T) {
		shown := h.logIn(t, dan, "").startDenied(t)
		want := noAccess("system:serviceaccount:jhub-six:hub", dan, "jhub-six", "default")
		assert.Contains(t, shown, want)
		assert.Contains(t, h.Log(), want)
	})
}
