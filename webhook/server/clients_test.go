package server_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// startWithVerifyClient starts a server that serves only clients with a certificate for "kube-apiserver", and replicas.
func startWithVerifyClient(t *testing.T, handler http.Handler) *testServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &testServer{address: listener.Addr().String(), pair: pki.Make(t, time.Hour), log: &journal.Journal{}, ended: make(chan error, 1)}
	r.cert.Store(r.pair.TLS(t))
	r.Server = server.New(listener, handler, server.Options{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return r.cert.Load(), nil },
		VerifyClient: func(state tls.ConnectionState) error {
			if state.PeerCertificates[0].Subject.CommonName != "kube-apiserver" {
				return errors.New("a stranger")
			}
			return nil
		},
		Log: slog.New(slog.NewJSONHandler(r.log, nil)),
	})
	r.run()
	t.Cleanup(r.stop)
	r.untilReady(t)
	return r
}

func TestVerifyClients(t *testing.T) {
	r := startWithVerifyClient(t, newEdge(t, nil))
	certificate := func(name string) []tls.Certificate {
		pair, err := pki.New(time.Hour, name)
		require.NoError(t, err)
		return []tls.Certificate{*pair.TLS(t)}
	}
	// A certificate without its key is useless, and another certificate with the same name is not accepted.
	lookAlike := pki.Make(t, time.Hour).TLS(t)
	stolen := *r.pair.TLS(t)
	stolen.PrivateKey = lookAlike.PrivateKey
	for name, c := range map[string]struct {
		presents []tls.Certificate
		served   bool
	}{
		"the API server":                {certificate("kube-apiserver"), true},
		"a replica":                     {[]tls.Certificate{*r.pair.TLS(t)}, true},
		"no certificate":                {nil, false},
		"another name":                  {certificate("mallory"), false},
		"another certificate for us":    {[]tls.Certificate{*lookAlike}, false},
		"our certificate without a key": {[]tls.Certificate{stolen}, false},
	} {
		for _, highest := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" with "+tls.VersionName(highest), func(t *testing.T) {
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.pair.Roots(), Certificates: c.presents, MaxVersion: highest}}
				defer transport.CloseIdleConnections()
				for _, path := range []string{"/mutate", "/", server.PeerPath} {
					client := &http.Client{Transport: transport, Timeout: machine.Patience}
					response, err := client.Post("https://"+r.address+path, "application/json", strings.NewReader(review(notebook)))
					if !c.served {
						// With TLS 1.3 the client sees the TLS alert, or the closed connection, only when it reads
						// the response.
						assert.Error(t, err)
						continue
					}
					if assert.NoError(t, err) {
						assert.NoError(t, response.Body.Close())
					}
				}
			})
		}
	}
	assert.NoError(t, r.Ready(nil), "the server accepts its own probe")
}

// TestReplicaWithOldCertificate tests that a replica with the new certificate does not serve a replica that still has the
// old one. During a renewal, replicas have different certificates for a while.
func TestReplicaWithOldCertificate(t *testing.T) {
	r := startWithVerifyClient(t, newEdge(t, nil))
	old := r.pair
	next := pki.Make(t, time.Hour)
	r.cert.Store(next.TLS(t))
	_, err := (&http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: next.Roots(), Certificates: []tls.Certificate{*old.TLS(t)}},
	}}).Post(r.mutateURL(), "application/json", strings.NewReader(review(notebook)))
	assert.Error(t, err)
	assert.NoError(t, r.Ready(nil))
}
