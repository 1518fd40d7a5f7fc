package server_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// inGroups is a person in so many groups: 7001, 7002, …
func inGroups(n int) identity.Identity {
	var groups []int64
	for i := range n {
		groups = append(groups, int64(7000+n-i)) // a source may give them in any order
	}
	return identity.New(5003, 6003, groups)
}

// TestSoManyGroups: NFS with AUTH_SYS sends 16, of which one is the primary. What is made is what the verifier takes.
func TestSoManyGroups(t *testing.T) {
	const cut = "only the first 15 supplementary groups of qiang.guo03 are given, in ascending order of their numbers: " +
		"files of the others are out of reach (identity.tooManyGroups: Cut)"
	for _, c := range []struct {
		groups  int
		setting config.TooManyGroups
		given   int // of them; -1 where the pod is refused
		warning string
	}{
		{0, "Deny", 0, ""}, {1, "Deny", 1, ""}, {15, "Deny", 15, ""}, {16, "Deny", -1, ""}, {40, "Deny", -1, ""},
		{0, "Cut", 0, ""}, {1, "Cut", 1, ""}, {15, "Cut", 15, ""}, {16, "Cut", 15, cut}, {40, "Cut", 15, cut},
	} {
		t.Run(fmt.Sprintf("%d %s", c.groups, c.setting), func(t *testing.T) {
			configured := config.Default()
			configured.Identity.TooManyGroups = c.setting
			w := webhook.New(configured, known(inGroups(c.groups)))
			submitted := webhook.Review{Pod: []byte(notebook), Namespace: "science"}

			d := w.Decide(t.Context(), submitted)
			if c.given < 0 {
				require.Len(t, d.Denials, 1)
				assert.EqualValues(t, "TooManyGroups", d.Denials[0].Reason)
				assert.Empty(t, d.Operations)
				return
			}
			require.Empty(t, d.Denials)
			assert.Equal(t, inGroups(c.given).String(), d.Identity.String(), "which goes into log and audit")
			if c.warning != "" {
				assert.Equal(t, []string{c.warning}, d.Warnings)
			} else {
				assert.Empty(t, d.Warnings)
			}
			made, err := pod.Apply(submitted.Pod, d.Operations)
			require.NoError(t, err)
			assert.Contains(t, string(made), `"jupyter-user.io/identity":"`+inGroups(c.given).String()+`"`)
			submitted.Pod = made
			assert.Empty(t, w.Verify(t.Context(), submitted).Denials)
			assert.Empty(t, w.Decide(t.Context(), submitted).Operations, "a second pass changes nothing")
		})
	}
}

// TestACutIsNoWayAround: the verifier holds a pod against the cut identity, so that one which says more is refused.
func TestACutIsNoWayAround(t *testing.T) {
	configured := config.Default()
	configured.Identity.MaxGroups, configured.Identity.TooManyGroups = 2, config.TooManyGroupsCut
	made := func(w *webhook.Webhook) webhook.Review {
		d := w.Decide(t.Context(), webhook.Review{Pod: []byte(notebook), Namespace: "science"})
		require.Empty(t, d.Denials)
		pod, err := pod.Apply([]byte(notebook), d.Operations)
		require.NoError(t, err)
		return webhook.Review{Pod: pod, Namespace: "science"}
	}
	unlimited := webhook.New(config.Default(), known(inGroups(3)))
	refusals := webhook.New(configured, known(inGroups(3))).Verify(t.Context(), made(unlimited)).Denials
	require.Len(t, refusals, 1)
	assert.EqualValues(t, "GenerationUnknown", refusals[0].Reason, "made by a configuration that allows it")

	configured.Identity.DeniedGIDs = []int64{7003}
	d := webhook.New(configured, known(inGroups(3))).Decide(t.Context(), webhook.Review{Pod: []byte(notebook)})
	require.Len(t, d.Denials, 1)
	assert.EqualValues(t, "IdentityDenied", d.Denials[0].Reason, "a refused group is seen although it would be cut off")

	before := webhook.New(configured, known(inGroups(2)))
	pod := made(before)
	refusals = webhook.New(configured, known(inGroups(3))).Verify(t.Context(), pod).Denials
	require.Len(t, refusals, 1)
	assert.EqualValues(t, "IdentityDiffers", refusals[0].Reason, "nor is the group forgotten at verification")
}

// TestNoGroups: zero is a number of groups too.
func TestNoGroups(t *testing.T) {
	configured := config.Default()
	configured.Identity.MaxGroups, configured.Identity.TooManyGroups = 0, config.TooManyGroupsCut
	d := webhook.New(configured, known(inGroups(1))).Decide(t.Context(), webhook.Review{Pod: []byte(notebook)})
	require.Empty(t, d.Denials)
	assert.Equal(t, "5003:6003", d.Identity.String())
}
