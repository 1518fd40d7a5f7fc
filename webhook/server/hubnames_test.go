package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// names is a map of hub names, as cached and as it is now.
type names struct{ remembered, now func(string) (string, error) }

func (n names) FromHub(_ context.Context, hubName string) (string, error) {
	return n.remembered(hubName)
}

func (n names) FromHubUncached(_ context.Context, hubName string) (string, error) {
	return n.now(hubName)
}

func mapsTo(name string) func(string) (string, error) {
	return func(string) (string, error) { return name, nil }
}

func fails(err error) func(string) (string, error) {
	return func(string) (string, error) { return "", err }
}

// hubsServer returns a hub's Pod with a mail address as hub name. If label is empty, the Pod has no label jupyter-user.
func hubsServer(label string) []byte {
	if label != "" {
		label = `,"jupyter-user":"` + label + `"`
	}
	return []byte(document(`,"labels":{"hub.jupyter.org/username":"x","component":"singleuser-server"`+label+`},"annotations":{`+
		`"hub.jupyter.org/username":"alice@corp.example"}`, oneContainer))
}

func mapping(t *testing.T, unmapped config.Unmapped, hubNames webhook.HubNames) *webhook.Webhook {
	t.Helper()
	c := config.Default()
	c.User.MapFile, c.User.Unmapped, c.User.Domains = "/hub-names/names", unmapped, []string{"corp.example"}
	return webhook.New(c, nil).WithHubNames(hubNames)
}

// TestAHubsNameIsMapped: only the map determines the user.
func TestAHubsNameIsMapped(t *testing.T) {
	for name, c := range map[string]struct {
		names    webhook.HubNames
		unmapped config.Unmapped
		label    string
		user     string
		reason   string
	}{
		"in the map":                    {names{remembered: mapsTo("bob")}, config.UnmappedDeny, "", "bob", ""},
		"not in the map":                {names{remembered: mapsTo("")}, config.UnmappedDeny, "", "", "HubNameUnmapped"},
		"not in the map, as it is":      {names{remembered: mapsTo("")}, config.UnmappedName, "", "alice", ""},
		"a label that agrees":           {names{remembered: mapsTo("bob")}, config.UnmappedDeny, "bob", "bob", ""},
		"a label that does not":         {names{remembered: mapsTo("bob")}, config.UnmappedDeny, "alice", "", "NamesDiffer"},
		"a reserved name":               {names{remembered: mapsTo("root")}, config.UnmappedDeny, "", "", "NameReserved"},
		"a domain is not taken off":     {names{remembered: mapsTo("bob@corp.example")}, config.UnmappedDeny, "", "", "NameDomain"},
		"several accounts":              {names{remembered: fails(&identity.Unusable{Why: "is two"})}, config.UnmappedName, "", "", "HubNameUnusable"},
		"silence":                       {names{remembered: fails(errors.New("gone"))}, config.UnmappedName, "", "", "HubNameSilent"},
		"nothing has read the map":      {nil, config.UnmappedName, "", "", "HubNameSilent"},
		"no name at all is not alice's": {names{remembered: mapsTo("")}, config.UnmappedDeny, "alice", "", "HubNameUnmapped"},
	} {
		t.Run(name, func(t *testing.T) {
			d := mapping(t, c.unmapped, c.names).Decide(t.Context(), webhook.Review{Pod: hubsServer(c.label), Namespace: "jhub"})
			assert.Equal(t, c.user, d.User.String())
			if c.reason == "" {
				assert.Empty(t, d.Denials)
				return
			}
			require.Len(t, d.Denials, 1)
			assert.EqualValues(t, c.reason, d.Denials[0].Reason)
		})
	}
	d := mapping(t, config.UnmappedDeny, names{remembered: mapsTo("")}).Decide(t.Context(), webhook.Review{Pod: []byte(notebook), Namespace: "lab"})
	assert.Equal(t, "qiang.guo03", d.User.String(), "the label is always the Unix name")
}

// TestAMapThatChanges: a map that changes between the two reviews of one Pod, or differs in another replica, gives 503 and
// does not blame the Pod.
func TestAMapThatChanges(t *testing.T) {
	before := mapping(t, config.UnmappedDeny, names{remembered: mapsTo("bob")})
	d := before.Decide(t.Context(), webhook.Review{Pod: hubsServer(""), Namespace: "jhub"})
	require.Empty(t, d.Denials)
	made, err := pod.Apply(hubsServer(""), d.Operations)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		names  webhook.HubNames
		reason string
	}{
		"as before":               {names{mapsTo("bob"), fails(errors.New("is not asked"))}, ""},
		"remembered is older":     {names{mapsTo("alice"), mapsTo("bob")}, ""},
		"was not there":           {names{mapsTo(""), mapsTo("bob")}, ""},
		"another user":            {names{mapsTo("alice"), mapsTo("alice")}, "HubNameDiffers"},
		"not in the map any more": {names{mapsTo(""), mapsTo("")}, "HubNameDiffers"},
		"silent now":              {names{mapsTo("alice"), fails(errors.New("gone"))}, "HubNameSilent"},
		"an invalid name":         {names{mapsTo("root"), mapsTo("root")}, "HubNameDiffers"},
	} {
		t.Run(name, func(t *testing.T) {
			d := mapping(t, config.UnmappedDeny, c.names).Verify(t.Context(), webhook.Review{Pod: made, Namespace: "jhub"})
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
