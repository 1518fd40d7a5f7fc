package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// names implements webhook.HubNames with two functions, which return the cached and the current user of a hub name.
type names struct{ cached, current func(string) (string, error) }

func (n names) FromHub(_ context.Context, hubName string) (string, error) {
	return n.cached(hubName)
}

func (n names) FromHubUncached(_ context.Context, hubName string) (string, error) {
	return n.current(hubName)
}

func returnsName(name string) func(string) (string, error) {
	return func(string) (string, error) { return name, nil }
}

func returnsError(err error) func(string) (string, error) {
	return func(string) (string, error) { return "", err }
}

// hubPod returns a hub's Pod with a mail address as hub name. If label is empty, the Pod has no label jupyter-user.
func hubPod(label string) []byte {
	if label != "" {
		label = `,"jupyter-user":"` + label + `"`
	}
	return []byte(document(`,"labels":{"hub.jupyter.org/username":"x","component":"singleuser-server"`+label+`},"annotations":{`+
		`"hub.jupyter.org/username":"alice@corp.example"}`, oneContainer))
}

func newMappingWebhook(t *testing.T, unmapped config.Unmapped, hubNames webhook.HubNames) *webhook.Webhook {
	t.Helper()
	c := config.Default()
	c.User.MapFile, c.User.Unmapped, c.User.Domains = "/hub-names/names", unmapped, []string{"corp.example"}
	return webhook.New(c, nil).WithHubNames(hubNames)
}

func TestMapHubName(t *testing.T) {
	for name, c := range map[string]struct {
		names    webhook.HubNames
		unmapped config.Unmapped
		label    string
		user     string
		reason   string
	}{
		"in the map":                             {names{cached: returnsName("bob")}, config.UnmappedDeny, "", "bob", ""},
		"not in the map":                         {names{cached: returnsName("")}, config.UnmappedDeny, "", "", "HubNameUnmapped"},
		"not in the map, unmapped names allowed": {names{cached: returnsName("")}, config.UnmappedName, "", "alice", ""},
		"label with the same user":               {names{cached: returnsName("bob")}, config.UnmappedDeny, "bob", "bob", ""},
		"label with another user":                {names{cached: returnsName("bob")}, config.UnmappedDeny, "alice", "", "NamesDiffer"},
		"a reserved name":                        {names{cached: returnsName("root")}, config.UnmappedDeny, "", "", "NameReserved"},
		"a domain is not removed":                {names{cached: returnsName("bob@corp.example")}, config.UnmappedDeny, "", "", "NameDomain"},
		"several accounts":                       {names{cached: returnsError(&identity.Unusable{Why: "is two"})}, config.UnmappedName, "", "", "HubNameUnusable"},
		"failed lookup":                          {names{cached: returnsError(errors.New("gone"))}, config.UnmappedName, "", "", "HubNameSilent"},
		"no map":                                 {nil, config.UnmappedName, "", "", "HubNameSilent"},
		"not in the map, with a label":           {names{cached: returnsName("")}, config.UnmappedDeny, "alice", "", "HubNameUnmapped"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newMappingWebhook(t, c.unmapped, c.names).Decide(t.Context(), webhook.Review{Pod: hubPod(c.label), Namespace: "jhub"})
			assert.Equal(t, c.user, d.User.String())
			if c.reason == "" {
				assert.Empty(t, d.Denials)
				return
			}
			require.Len(t, d.Denials, 1)
			assert.EqualValues(t, c.reason, d.Denials[0].Reason)
		})
	}
	d := newMappingWebhook(t, config.UnmappedDeny, names{cached: returnsName("")}).Decide(t.Context(), webhook.Review{Pod: []byte(notebook), Namespace: "lab"})
	assert.Equal(t, "qiang.guo03", d.User.String(), "the label is always the Unix name")
}

// TestLongHubName tests that a hub name longer than any in JupyterHub is denied without a lookup, so no cache keeps it.
func TestLongHubName(t *testing.T) {
	asked := func(string) (string, error) { return "", errors.New("looked up") }
	long := []byte(document(`,"labels":{"hub.jupyter.org/username":"x","component":"singleuser-server"},"annotations":{`+
		`"hub.jupyter.org/username":"`+strings.Repeat("a", 1025)+`@corp.example"}`, oneContainer))
	for _, unmapped := range []config.Unmapped{config.UnmappedDeny, config.UnmappedName} {
		d := newMappingWebhook(t, unmapped, names{cached: asked, current: asked}).Decide(t.Context(), webhook.Review{Pod: long, Namespace: "jhub"})
		require.Len(t, d.Denials, 1)
		assert.EqualValues(t, "NameInvalid", d.Denials[0].Reason)
		assert.NoError(t, d.Fault)
		assert.Less(t, len(d.Denials[0].Message), 1024)
	}
}

// TestVerifyAfterMapChange tests a map that changes between the two reviews of one Pod, or differs in another replica.
func TestVerifyAfterMapChange(t *testing.T) {
	first := newMappingWebhook(t, config.UnmappedDeny, names{cached: returnsName("bob")})
	d := first.Decide(t.Context(), webhook.Review{Pod: hubPod(""), Namespace: "jhub"})
	require.Empty(t, d.Denials)
	injected, err := pod.Apply(hubPod(""), d.Operations)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		names  webhook.HubNames
		reason string
	}{
		"unchanged":             {names{returnsName("bob"), returnsError(errors.New("is not asked"))}, ""},
		"older result in cache": {names{returnsName("alice"), returnsName("bob")}, ""},
		"missing in cache":      {names{returnsName(""), returnsName("bob")}, ""},
		"another user":          {names{returnsName("alice"), returnsName("alice")}, "HubNameDiffers"},
		"removed from the map":  {names{returnsName(""), returnsName("")}, "HubNameDiffers"},
		"failed lookup":         {names{returnsName("alice"), returnsError(errors.New("gone"))}, "HubNameSilent"},
		"an invalid name":       {names{returnsName("root"), returnsName("root")}, "HubNameDiffers"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newMappingWebhook(t, config.UnmappedDeny, c.names).Verify(t.Context(), webhook.Review{Pod: injected, Namespace: "jhub"})
			if c.reason == "" {
				assert.Empty(t, d.Denials)
				return
			}
			require.Len(t, d.Denials, 1)
			assert.EqualValues(t, c.reason, d.Denials[0].Reason)
			assert.EqualValues(t, 503, d.Denials[0].Code)
		})
	}
}
