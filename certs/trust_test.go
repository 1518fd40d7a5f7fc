package certs

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

func TestABundleKeepsWhatMayStillBeServed(t *testing.T) {
	old, older, young, past := pki.Make(t, time.Hour).Cert, pki.Make(t, time.Hour).Cert, pki.Make(t, time.Hour).Cert, pki.Make(t, -time.Minute).Cert
	all := func(parts ...[]byte) (bundle []byte) {
		for _, part := range parts {
			bundle = append(bundle, part...)
		}
		return bundle
	}
	for name, c := range map[string]struct {
		has   []byte
		alone bool
		comes []byte
	}{
		"the first":                {nil, false, young},
		"beside the one before":    {old, false, all(young, old)},
		"beside two":               {all(old, older), false, all(young, old, older)},
		"once":                     {all(young, old), false, all(young, old)},
		"first, wherever it stood": {all(old, young), false, all(young, old)},
		"not what has expired":     {all(past, old), false, all(young, old)},
		"not what is none":         {all([]byte("junk\n"), old), false, all(young, old)},
		"alone":                    {all(young, old, older), true, young},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, string(c.comes), string(bundleWith(young, c.has, c.alone, time.Now())))
		})
	}
}

// TestTrustLeavesTheRestAlone: fields of a later Kubernetes release, which this program does not know, must stay.
func TestTrustLeavesTheRestAlone(t *testing.T) {
	young := pki.Make(t, time.Hour).Cert
	configuration := func(bundle string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"future": "x", "webhooks": []any{
			map[string]any{"name": "a", "future": int64(1), "clientConfig": map[string]any{"future": true, "caBundle": bundle}},
		}}}
	}
	has := configuration("")
	changed, err := trustIn(has, young, false, time.Now())
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, configuration(base64.StdEncoding.EncodeToString(young)), has)
	changed, err = trustIn(has, young, true, time.Now())
	require.NoError(t, err)
	assert.False(t, changed, "an object that trusts the authority already is not written")
	_, err = trustIn(configuration("no base64"), young, false, time.Now())
	assert.ErrorContains(t, err, "illegal base64")
}
