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

func TestBundleWith(t *testing.T) {
	old, older, renewed, past := pki.Make(t, time.Hour).Cert, pki.Make(t, time.Hour).Cert, pki.Make(t, time.Hour).Cert, pki.Make(t, -time.Minute).Cert
	all := func(parts ...[]byte) (bundle []byte) {
		for _, part := range parts {
			bundle = append(bundle, part...)
		}
		return bundle
	}
	for name, c := range map[string]struct {
		has   []byte
		alone bool
		want  []byte
	}{
		"first authority":               {nil, false, renewed},
		"with a previous authority":     {old, false, all(renewed, old)},
		"with two previous authorities": {all(old, older), false, all(renewed, old, older)},
		"present already":               {all(renewed, old), false, all(renewed, old)},
		"present already, not first":    {all(old, renewed), false, all(renewed, old)},
		"without an expired authority":  {all(past, old), false, all(renewed, old)},
		"without junk":                  {all([]byte("junk\n"), old), false, all(renewed, old)},
		"alone":                         {all(renewed, old, older), true, renewed},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, string(c.want), string(bundleWith(renewed, c.has, c.alone, time.Now())))
		})
	}
}

// TestTrustKeepsUnknownFields tests that fields of a later Kubernetes release, which this program does not know, stay.
func TestTrustKeepsUnknownFields(t *testing.T) {
	renewed := pki.Make(t, time.Hour).Cert
	configuration := func(bundle string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"future": "x", "webhooks": []any{
			map[string]any{"name": "a", "future": int64(1), "clientConfig": map[string]any{"future": true, "caBundle": bundle}},
		}}}
	}
	has := configuration("")
	changed, err := trustIn(has, renewed, false, time.Now())
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, configuration(base64.StdEncoding.EncodeToString(renewed)), has)
	changed, err = trustIn(has, renewed, true, time.Now())
	require.NoError(t, err)
	assert.False(t, changed, "an object that trusts the authority already is not written")
	_, err = trustIn(configuration("no base64"), renewed, false, time.Now())
	assert.ErrorContains(t, err, "illegal base64")
}
