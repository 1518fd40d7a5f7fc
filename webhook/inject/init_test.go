package inject

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPolicyToleratesTheSameMounts tests that the policy net.jupyter-user.io has the expression with which the webhook tolerates the mounts of
// other webhooks in the init container.
func TestPolicyToleratesTheSameMounts(t *testing.T) {
	assert.Equal(t, "^/var/run/secrets(/[^/.][^/]*)+$", belowSecrets.String())
	policy, err := os.ReadFile("../../deploy/chart/templates/62-policy-net.yaml")
	require.NoError(t, err)
	assert.Contains(t, string(policy), "m.mountPath.matches('"+belowSecrets.String()+"')")
}
