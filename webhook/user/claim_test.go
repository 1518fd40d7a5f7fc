package user_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// TestClaimed uses the same table of Pods as the test of the policies' predicate in CEL.
func TestClaimed(t *testing.T) {
	text, err := os.ReadFile("testdata/claimed.yaml")
	require.NoError(t, err)
	var pods []struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		Claimed     *bool             `json:"claimed"`
	}
	require.NoError(t, yaml.UnmarshalStrict(text, &pods))
	require.Greater(t, len(pods), 50)
	names := map[string]bool{}
	for _, pod := range pods {
		t.Run(pod.Name, func(t *testing.T) {
			require.NotNil(t, pod.Claimed)
			require.False(t, names[pod.Name], "two Pods have this name")
			names[pod.Name] = true
			assert.Equal(t, *pod.Claimed, user.Claimed(pod.Labels, pod.Annotations, config.Default().User))
		})
	}
}

func TestClaimedByConfiguredComponents(t *testing.T) {
	labels := map[string]string{"hub.jupyter.org/username": "alice", "component": "user-server"}
	annotations := map[string]string{"hub.jupyter.org/username": "alice"}
	for name, c := range map[string]struct {
		components []string
		claimed    bool
	}{
		"default component":        {[]string{"singleuser-server"}, false},
		"component of the site":    {[]string{"user-server"}, true},
		"second of two components": {[]string{"singleuser-server", "user-server"}, true},
		"no component":             {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.claimed, user.Claimed(labels, annotations, config.User{HubComponents: c.components}))
			assert.True(t, user.Claimed(map[string]string{"jupyter-user": "alice"}, nil, config.User{HubComponents: c.components}))
		})
	}
}

// TestCheckInject tests that every value other than "false" is denied.
func TestCheckInject(t *testing.T) {
	assert.Nil(t, user.CheckInject(nil))
	assert.Nil(t, user.CheckInject(map[string]string{"jupyter-user.io/inject": "false"}))
	for _, value := range []string{"off", "no", "False", "true", ""} {
		denial := user.CheckInject(map[string]string{"jupyter-user.io/inject": value})
		require.NotNil(t, denial, value)
		assert.Equal(t, int32(422), denial.Code)
		assert.EqualValues(t, "AnnotationInvalid", denial.Reason)
		assert.Equal(t, "metadata.annotations[jupyter-user.io/inject]", denial.Field)
		assert.Equal(t, strconv.Quote(value)+` is not "false", the only value, which leaves the Pod as it is: write that, or remove the `+
			`annotation to get the user's home`, denial.Message)
	}
}

func TestFromHub(t *testing.T) {
	assert.True(t, user.FromHub(map[string]string{"hub.jupyter.org/username": ""}))
	assert.False(t, user.FromHub(map[string]string{"hub.jupyter.org/servername": "x"}))
}

// TestFromPodOfKubeSpawner uses hub names and slugs of KubeSpawner's own tests, of 7.x and of 6.x. FromPod must not read
// the slug.
func TestFromPodOfKubeSpawner(t *testing.T) {
	corp := config.User{MaxLength: 32, Domains: []string{"x.org"}}
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
				name, denials := user.FromPod(
					map[string]string{"hub.jupyter.org/username": slug},
					map[string]string{"hub.jupyter.org/username": raw}, corp)
				assert.Equal(t, c.want, name.String())
				if c.reason == "" {
					assert.Empty(t, denials)
					return
				}
				require.Len(t, denials, 1)
				assert.EqualValues(t, c.reason, denials[0].Reason)
				assert.Equal(t, "metadata.annotations[hub.jupyter.org/username]", denials[0].Field)
			})
		}
	}
}

func TestFromPod(t *testing.T) {
	const label, hub = "jupyter-user", "hub.jupyter.org/username"
	type pairs = map[string]string
	corp := config.User{MaxLength: 32, Domains: []string{"corp.example"}}
	for name, c := range map[string]struct {
		labels, annotations pairs
		rules               config.User
		want                string
		reasons, fields     []string
	}{
		"label without annotation":   {labels: pairs{label: "alice"}, want: "alice"},
		"annotation without label":   {labels: pairs{hub: "slug"}, annotations: pairs{hub: "alice"}, want: "alice"},
		"equal label and annotation": {labels: pairs{label: "alice", hub: "alice"}, annotations: pairs{hub: "alice"}, want: "alice"},
		"slug with another name":     {labels: pairs{label: "alice", hub: "bob"}, annotations: pairs{hub: "alice"}, want: "alice"},
		"label, and annotation with a domain": {
			labels: pairs{label: "alice"}, annotations: pairs{hub: "alice@corp.example"}, rules: corp, want: "alice"},
		"different label and annotation": {
			labels: pairs{label: "alice", hub: "bob"}, annotations: pairs{hub: "bob"},
			reasons: []string{"NamesDiffer"}, fields: []string{"metadata"}},
		"different label and annotation, without the hub's label": {
			labels: pairs{label: "alice"}, annotations: pairs{hub: "bob"},
			reasons: []string{"NamesDiffer"}, fields: []string{"metadata"}},
		"slug in our label": {
			labels: pairs{label: "alice-smith---63425827"}, annotations: pairs{hub: "alice.smith"},
			reasons: []string{"NamesDiffer"}, fields: []string{"metadata"}},
		"missing annotation": {
			labels: pairs{hub: "alice"}, reasons: []string{"NameInvalid"},
			fields: []string{"metadata.annotations[hub.jupyter.org/username]"}},
		"our annotation without a name": {
			labels: pairs{hub: "alice"}, annotations: pairs{"jupyter-user.io/user": "bob"},
			reasons: []string{"NameInvalid"}, fields: []string{"metadata.annotations[hub.jupyter.org/username]"}},
		"our annotation with another name": {
			labels: pairs{label: "alice"}, annotations: pairs{"jupyter-user.io/user": "bob"}, want: "alice"},
		"empty label": {
			labels: pairs{label: ""}, reasons: []string{"NameInvalid"}, fields: []string{"metadata.labels[jupyter-user]"}},
		"empty annotation": {
			labels: pairs{hub: "x"}, annotations: pairs{hub: ""},
			reasons: []string{"NameInvalid"}, fields: []string{"metadata.annotations[hub.jupyter.org/username]"}},
		"label and empty annotation": {
			labels: pairs{label: "alice"}, annotations: pairs{hub: ""},
			reasons: []string{"NameInvalid"}, fields: []string{"metadata.annotations[hub.jupyter.org/username]"}},
		"invalid label and valid annotation": {
			labels: pairs{label: "Alice"}, annotations: pairs{hub: "alice"},
			reasons: []string{"NameInvalid"}, fields: []string{"metadata.labels[jupyter-user]"}},
		"invalid label and invalid annotation": {
			labels: pairs{label: "root"}, annotations: pairs{hub: "eve@evil.example"},
			reasons: []string{"NameReserved", "NameDomain"},
			fields:  []string{"metadata.labels[jupyter-user]", "metadata.annotations[hub.jupyter.org/username]"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.rules.MaxLength == 0 {
				c.rules = rules
			}
			got, denials := user.FromPod(c.labels, c.annotations, c.rules)
			assert.Equal(t, c.want, got.String())
			var reasons, fields []string
			for _, r := range denials {
				reasons, fields = append(reasons, string(r.Reason)), append(fields, r.Field)
			}
			assert.Equal(t, c.reasons, reasons)
			assert.Equal(t, c.fields, fields)
		})
	}
}

// TestNamesDifferMessage tests that the message names the setting of KubeSpawner that usually causes the difference.
func TestNamesDifferMessage(t *testing.T) {
	_, denials := user.FromPod(map[string]string{"jupyter-user": "alice-smith---63425827"},
		map[string]string{"hub.jupyter.org/username": "alice.smith"}, rules)
	require.Len(t, denials, 1)
	for _, part := range []string{
		"jupyter-user", `"alice-smith---63425827"`, "hub.jupyter.org/username", `"alice.smith"`, "extra_labels", "{username}",
	} {
		assert.Contains(t, denials[0].Message, part)
	}
}
