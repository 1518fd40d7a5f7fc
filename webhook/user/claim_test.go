package user_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

func TestClaimedByEitherLabelAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		labels       map[string]string
		claimed, hub bool
	}{
		"no labels at all":            {nil, false, false},
		"other labels":                {map[string]string{"app": "jupyterhub", "component": "singleuser-server"}, false, false},
		"the label":                   {map[string]string{"jupyter-user": "alice"}, true, false},
		"the label without a value":   {map[string]string{"jupyter-user": ""}, true, false},
		"the hub's label":             {map[string]string{"hub.jupyter.org/username": "alice"}, true, true},
		"the hub's without a value":   {map[string]string{"hub.jupyter.org/username": ""}, true, true},
		"both":                        {map[string]string{"jupyter-user": "a", "hub.jupyter.org/username": "a"}, true, true},
		"the label in another case":   {map[string]string{"Jupyter-User": "alice"}, false, false},
		"the hub's other label":       {map[string]string{"hub.jupyter.org/servername": "x"}, false, false},
		"our prefix is no label":      {map[string]string{"jupyter-user.io/user": "alice"}, false, false},
		"a label with a prefix of it": {map[string]string{"jupyter-username": "alice"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.claimed, user.Claimed(c.labels))
			assert.Equal(t, c.hub, user.FromHub(c.labels))
		})
	}
}

// TestKubeSpawnersNames takes KubeSpawner's own table of raw names and slugs, of 7.x and of 6.x. The slug is never read.
func TestKubeSpawnersNames(t *testing.T) {
	corp := config.User{MaxLength: 32, Domain: "x.org"}
	for raw, c := range map[string]struct {
		slugs        []string
		want, reason string
	}{
		"alice":       {[]string{"alice"}, "alice", ""},
		"alice.smith": {[]string{"alice.smith", "alice-smith---63425827", "alice-2esmith"}, "alice.smith", ""},
		"Alice":       {[]string{"Alice", "alice---3bc51062", "-41lice"}, "", "NameInvalid"},
		"alice_s":     {[]string{"alice_s", "alice-s---a303d5d1", "alice-5fs"}, "alice_s", ""},
		"user-1":      {[]string{"user-1", "user-2d1"}, "user-1", ""},
		"alice@x.org": {[]string{"alice-x-org---1facc80f", "alice-40x-2eorg"}, "alice", ""},
		"123abc":      {[]string{"123abc", "x-123abc---dd130a84"}, "", "NameInvalid"},
	} {
		for _, slug := range c.slugs {
			t.Run(raw+" as "+slug, func(t *testing.T) {
				name, refusals := user.FromPod(
					map[string]string{"hub.jupyter.org/username": slug},
					map[string]string{"hub.jupyter.org/username": raw}, corp)
				assert.Equal(t, c.want, name.String())
				if c.reason == "" {
					assert.Empty(t, refusals)
					return
				}
				require.Len(t, refusals, 1)
				assert.EqualValues(t, c.reason, refusals[0].Reason)
				assert.Equal(t, "metadata.annotations[hub.jupyter.org/username]", refusals[0].Field)
			})
		}
	}
}

func TestFromPod(t *testing.T) {
	const label, hub = "jupyter-user", "hub.jupyter.org/username"
	type pairs = map[string]string
	corp := config.User{MaxLength: 32, Domain: "corp.example"}
	for name, c := range map[string]struct {
		labels, annotations pairs
		rules               config.User
		want                string
		reasons, fields     []string
	}{
		"the label alone":          {labels: pairs{label: "alice"}, want: "alice"},
		"the annotation alone":     {labels: pairs{hub: "slug"}, annotations: pairs{hub: "alice"}, want: "alice"},
		"both and equal":           {labels: pairs{label: "alice", hub: "alice"}, annotations: pairs{hub: "alice"}, want: "alice"},
		"the slug is never a name": {labels: pairs{label: "alice", hub: "bob"}, annotations: pairs{hub: "alice"}, want: "alice"},
		"both, one with the domain": {
			labels: pairs{label: "alice"}, annotations: pairs{hub: "alice@corp.example"}, rules: corp, want: "alice"},
		"both and different": {
			labels: pairs{label: "alice", hub: "bob"}, annotations: pairs{hub: "bob"},
			reasons: []string{"NamesDiffer"}, fields: []string{"metadata"}},
		"different without the hub's label too": {
			labels: pairs{label: "alice"}, annotations: pairs{hub: "bob"},
			reasons: []string{"NamesDiffer"}, fields: []string{"metadata"}},
		"the hub's template in the label": {
			labels: pairs{label: "alice-smith---63425827"}, annotations: pairs{hub: "alice.smith"},
			reasons: []string{"NamesDiffer"}, fields: []string{"metadata"}},
		"the annotation is missing": {
			labels: pairs{hub: "alice"}, reasons: []string{"NameMissing"}, fields: []string{"metadata.annotations"}},
		"an annotation of ours is no claim": {
			labels: pairs{hub: "alice"}, annotations: pairs{"jupyter-user.io/user": "bob"},
			reasons: []string{"NameMissing"}, fields: []string{"metadata.annotations"}},
		"an annotation of ours does not count": {
			labels: pairs{label: "alice"}, annotations: pairs{"jupyter-user.io/user": "bob"}, want: "alice"},
		"an empty label": {
			labels: pairs{label: ""}, reasons: []string{"NameInvalid"}, fields: []string{"metadata.labels[jupyter-user]"}},
		"an empty annotation": {
			labels: pairs{hub: "x"}, annotations: pairs{hub: ""},
			reasons: []string{"NameInvalid"}, fields: []string{"metadata.annotations[hub.jupyter.org/username]"}},
		"an empty annotation beside a label": {
			labels: pairs{label: "alice"}, annotations: pairs{hub: ""},
			reasons: []string{"NameInvalid"}, fields: []string{"metadata.annotations[hub.jupyter.org/username]"}},
		"a bad label beside a good annotation": {
			labels: pairs{label: "Alice"}, annotations: pairs{hub: "alice"},
			reasons: []string{"NameInvalid"}, fields: []string{"metadata.labels[jupyter-user]"}},
		"every fault at once": {
			labels: pairs{label: "root"}, annotations: pairs{hub: "eve@evil.example"},
			reasons: []string{"NameReserved", "NameDomain"},
			fields:  []string{"metadata.labels[jupyter-user]", "metadata.annotations[hub.jupyter.org/username]"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.rules.MaxLength == 0 {
				c.rules = rules
			}
			got, refusals := user.FromPod(c.labels, c.annotations, c.rules)
			assert.Equal(t, c.want, got.String())
			var reasons, fields []string
			for _, r := range refusals {
				reasons, fields = append(reasons, string(r.Reason)), append(fields, r.Field)
			}
			assert.Equal(t, c.reasons, reasons)
			assert.Equal(t, c.fields, fields)
		})
	}
}

// TestNamesDifferTellsWhatToDo: the one who reads it runs a hub, and did not know that two settings meet.
func TestNamesDifferTellsWhatToDo(t *testing.T) {
	_, refusals := user.FromPod(map[string]string{"jupyter-user": "alice-smith---63425827"},
		map[string]string{"hub.jupyter.org/username": "alice.smith"}, rules)
	require.Len(t, refusals, 1)
	for _, part := range []string{
		"jupyter-user", `"alice-smith---63425827"`, "hub.jupyter.org/username", `"alice.smith"`, "extra_labels", "{username}",
	} {
		assert.Contains(t, refusals[0].Message, part)
	}
}
