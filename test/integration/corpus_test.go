package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
)

// TestPoliciesTakeWhatTheWebhookMakes creates the whole corpus of pods as the webhook admits them: with the parameters that
// go with each configuration, no policy has anything against any of them.
func TestPoliciesTakeWhatTheWebhookMakes(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	cases, err := golden.Cases()
	require.NoError(t, err)
	byParameters := map[string][]golden.Case{}
	for _, c := range cases {
		parameters, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": c.Config.PolicyParameters()}})
		require.NoError(t, err)
		byParameters[string(parameters)] = append(byParameters[string(parameters)], c)
	}
	created := 0
	for parameters, cases := range byParameters {
		require.NoError(t, setParameters(t, g, parameters))
		g.awaitParameters(t)
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				d := c.Decide(c.JSON)
				if len(d.Refusals) > 0 || !d.Claimed {
					return // Refused, or none of ours.
				}
				raw, err := inject.Apply(c.JSON, d.Operations)
				require.NoError(t, err)
				pod := decode(t, string(raw))
				pod.Namespace = ""
				err = create(t.Context(), g.hub, "open", pod)
				if err == nil {
					created++
					return
				}
				// Some of the corpus is no pod that an API server takes.
				assert.NotContains(t, err.Error(), "ValidatingAdmissionPolicy")
				t.Log(strings.SplitN(err.Error(), "\n", 2)[0])
			})
		}
	}
	assert.Greater(t, created, 50, "most of the corpus are pods")
}
