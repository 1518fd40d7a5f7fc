package inject

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// TestIdentityOfPlan tests that a plan with discovery at start has no identity, even if the Pod is denied.
func TestIdentityOfPlan(t *testing.T) {
	document, err := pod.Read([]byte(`{"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": [{"name": "nb"}]}}`))
	require.NoError(t, err)
	alice := identity.Identity{UID: 5003, GID: 6003}
	for name, c := range map[string]struct {
		configured config.Discovery
		restricted bool
		discovery  config.Discovery
		identity   *identity.Identity
		denials    int
	}{
		"known":                           {config.DiscoveryAuto, false, config.DiscoveryAtAdmission, &alice, 0},
		"known, restricted":               {config.DiscoveryAuto, true, config.DiscoveryAtAdmission, &alice, 0},
		"known, but at start":             {config.DiscoveryAtStart, false, config.DiscoveryAtStart, nil, 0},
		"known, but at start, restricted": {config.DiscoveryAtStart, true, config.DiscoveryAtStart, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			configured := config.Default()
			configured.Identity.Discovery = c.configured
			plan := NewPlanner(configured).Plan(document, Facts{Restricted: c.restricted, Identity: &alice})
			assert.Equal(t, c.discovery, plan.Discovery)
			assert.Equal(t, c.identity, plan.Identity)
			assert.Len(t, Reconcile(document, plan).Denials, c.denials)
		})
	}
}
