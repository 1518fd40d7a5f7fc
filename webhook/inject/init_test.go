package inject

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPolicyToleratesTheSameMounts tests that the policy net.jupyter-user.io tolerates the mounts of other webhooks in the init
// container by the same expression as this package.
func TestPolicyToleratesTheSameMounts(t *testing.T) {
	assert.Equal(t, "^/var/run/secrets(/[^/.][^/]*)+$", belowSecrets.String())
	policy, err := os.ReadFile("../../deploy/chart/templates/62-policy-net.yaml")
	require.NoError(t, err)
	assert.Contains(t, string(policy), "m.mountPath.matches('"+belowSecrets.String()+"')")
}
