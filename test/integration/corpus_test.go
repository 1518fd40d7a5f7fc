package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// TestPoliciesAdmitGoldenPods takes the Pods of package golden that the webhook admits as notebooks, and creates them as
// the webhook changes them. The policies are rendered for the configuration of each Pod's case, and must admit the Pod.
func TestPoliciesAdmitGoldenPods(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	cases, err := golden.Cases()
	require.NoError(t, err)
	byValues := map[string][]golden.Case{}
	for _, c := range cases {
		values := valuesOf(t, c.Config)
		byValues[values] = append(byValues[values], c)
	}
	created := 0
	for values, cases := range byValues {
		installPoliciesFor(t.Context(), t, g.ControlPlane, values)
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				d := c.Decide(c.JSON)
				if len(d.Denials) > 0 || !d.Claimed {
					return
				}
				raw, err := pod.Apply(c.JSON, d.Operations)
				require.NoError(t, err)
				pod := decode(t, string(raw))
				pod.Namespace = ""
				err = create(t.Context(), g.hub, "open", pod)
				if err == nil {
					created++
					return
				}
				// The API server itself denies some of the golden Pods.
				assert.NotContains(t, err.Error(), "ValidatingAdmissionPolicy")
				t.Log(strings.SplitN(err.Error(), "\n", 2)[0])
			})
		}
	}
	assert.Greater(t, created, 50, "most golden Pods are created")
}

// valuesOf returns the chart values for a configuration, as far as the policies need them.
func valuesOf(t *testing.T, c *config.Config) string {
	t.Helper()
	share := map[string]any{"claimName": c.Share.ClaimName, "volumeName": c.Share.VolumeName, "mountPath": c.Share.MountPath,
		"home": c.Share.Home, "exposeEveryHome": c.Share.ExposeEveryHome, "directories": append([]config.Directory{}, c.Share.Directories...)}
	values, err := json.Marshal(map[string]any{
		"image":  map[string]any{"accepted": append([]string{c.Init.Image}, c.Init.AcceptedImages...)},
		"config": map[string]any{"share": share, "user": map[string]any{"hubComponents": c.User.HubComponents}, "scratch": map[string]any{"volumeName": c.Scratch.VolumeName, "mountPath": c.Scratch.MountPath}},
	})
	require.NoError(t, err)
	return string(values)
}
