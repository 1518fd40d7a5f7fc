package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/certs"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// presented returns the state of a connection whose client presented a certificate and its intermediates.
func presented(t *testing.T, pairs ...pki.Pair) (state tls.ConnectionState) {
	t.Helper()
	for _, pair := range pairs {
		block, _ := pem.Decode(pair.Cert)
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		state.PeerCertificates = append(state.PeerCertificates, cert)
	}
	return state
}

func issue(t *testing.T, authority pki.Pair, lifetime time.Duration, names ...string) pki.Pair {
	t.Helper()
	pair, err := authority.Issue(lifetime, names...)
	require.NoError(t, err)
	return pair
}

func authorities(t *testing.T, pairs ...pki.Pair) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "ca.crt")
	var text []byte
	for _, pair := range pairs {
		text = append(text, pair.Cert...)
	}
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

func TestVerifyClient(t *testing.T) {
	authority, second, other := pki.Make(t, time.Hour), pki.Make(t, time.Hour), pki.Make(t, time.Hour)
	file := authorities(t, authority, second)
	for name, c := range map[string]struct {
		presents tls.ConnectionState
		names    []string
		want     string
	}{
		"first authority":                   {presented(t, issue(t, authority, time.Hour, "any-client")), nil, ""},
		"second authority":                  {presented(t, issue(t, second, time.Hour, "any-client")), nil, ""},
		"accepted name":                     {presented(t, issue(t, authority, time.Hour, "kube-apiserver")), []string{"kube-apiserver"}, ""},
		"one of two names":                  {presented(t, issue(t, authority, time.Hour, "kube-apiserver")), []string{"x", "kube-apiserver"}, ""},
		"a second DNS name":                 {presented(t, issue(t, authority, time.Hour, "x", "kube-apiserver")), []string{"kube-apiserver"}, ""},
		"no certificate":                    {presented(t), nil, "presents no certificate"},
		"another authority":                 {presented(t, issue(t, other, time.Hour, "kube-apiserver")), nil, "unknown authority"},
		"another name":                      {presented(t, issue(t, authority, time.Hour, "kubelet")), []string{"kube-apiserver"}, `is for ["kubelet" "kubelet"], but only kube-apiserver is accepted`},
		"name in upper case":                {presented(t, issue(t, authority, time.Hour, "KUBE-APISERVER")), []string{"kube-apiserver"}, "but only kube-apiserver is accepted"},
		"expired certificate":               {presented(t, issue(t, authority, -time.Minute, "kube-apiserver")), nil, "expired"},
		"another authority as intermediate": {presented(t, issue(t, other, time.Hour, "kube-apiserver"), other), nil, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			clients, err := certs.ClientsOf(file, c.names)
			require.NoError(t, err)
			if err := clients.Verify(c.presents); c.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.want)
			}
		})
	}
}

// TestServerCertificateIsDenied tests that a client cannot use a server's certificate. Often one authority signs both the
// certificates of servers and those of clients.
func TestServerCertificateIsDenied(t *testing.T) {
	authority := pki.Make(t, time.Hour)
	clients, err := certs.ClientsOf(authorities(t, authority), nil)
	require.NoError(t, err)
	server, err := authority.IssueServer(time.Hour, "kube-apiserver")
	require.NoError(t, err)
	assert.ErrorContains(t, clients.Verify(presented(t, server)), "incompatible key usage")
}

func TestAuthoritiesAreReadAgain(t *testing.T) {
	first, second := pki.Make(t, time.Hour), pki.Make(t, time.Hour)
	file := authorities(t, first)
	clients, err := certs.ClientsOf(file, nil)
	require.NoError(t, err)
	old, renewed := presented(t, issue(t, first, time.Hour, "a")), presented(t, issue(t, second, time.Hour, "a"))
	require.NoError(t, clients.Verify(old))

	require.NoError(t, os.Rename(authorities(t, second), file))
	assert.NoError(t, clients.Verify(renewed))
	assert.ErrorContains(t, clients.Verify(old), "unknown authority", "even if the client was accepted before")

	require.NoError(t, os.WriteFile(file, []byte("nothing"), 0o600))
	assert.ErrorContains(t, clients.Verify(renewed), "there is no certificate in the file")
	require.NoError(t, os.Remove(file))
	assert.ErrorContains(t, clients.Verify(renewed), "read the authorities of clients", "no client is accepted")
}
