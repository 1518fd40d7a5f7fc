package chaos

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// TestOnlyAcceptedClientsAreServed tests that with --client-ca-file, a client without an accepted certificate gets no
// response to a correct review. A client with an accepted certificate gets no admission for a review at an unknown path,
// with GET or by HTTP/2.
func TestOnlyAcceptedClientsAreServed(t *testing.T) {
	const name = "kube-apiserver"
	authority, err := pki.New(time.Hour, "authority")
	require.NoError(t, err)
	stranger, err := pki.New(time.Hour, "another authority")
	require.NoError(t, err)
	issue := func(pair pki.Pair, err error) []tls.Certificate {
		require.NoError(t, err)
		return []tls.Certificate{*pair.TLS(t)}
	}
	file := filepath.Join(t.TempDir(), "clients.crt")
	require.NoError(t, os.WriteFile(file, authority.Cert, 0o600))
	r, _ := startAlone(t, "--client-ca-file="+file, "--client-name="+name)
	known := issue(authority.Issue(time.Hour, name))

	review := fmt.Sprintf("%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", openHead, len(goodReview), goodReview)
	require.Contains(t, r.response(t, &tls.Config{Certificates: known}, review), `"allowed":true`, "an API server is served")

	served, tried := 0, 0
	for who, c := range map[string]struct {
		tls    *tls.Config
		sent   string
		begins string
	}{
		"no certificate":                     {&tls.Config{}, review, ""},
		"a certificate of another authority": {&tls.Config{Certificates: issue(stranger.Issue(time.Hour, name))}, review, ""},
		"a self-signed certificate":          {&tls.Config{Certificates: issue(pki.New(time.Hour, name))}, review, ""},
		"an expired certificate":             {&tls.Config{Certificates: issue(authority.Issue(-time.Minute, name))}, review, ""},
		"a certificate of another name":      {&tls.Config{Certificates: issue(authority.Issue(time.Hour, "carol"))}, review, ""},
		"a server certificate":               {&tls.Config{Certificates: issue(authority.IssueServer(time.Hour, name))}, review, ""},
		"HTTP/2 only":                        {&tls.Config{Certificates: known, NextProtos: []string{"h2"}}, review, ""},
		"HTTP/2, not negotiated":             {&tls.Config{Certificates: known}, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 "},
		"an unknown path":                    {&tls.Config{Certificates: known}, strings.Replace(review, "/mutate", "/validate", 1), "HTTP/1.1 404 "},
		"GET":                                {&tls.Config{Certificates: known}, strings.Replace(review, "POST", "GET", 1), "HTTP/1.1 405 "},
		"no certificate, from a peer":        {&tls.Config{}, strings.Replace(review, "/mutate", "/verify/peer", 1), ""},
	} {
		tried++
		response := r.response(t, c.tls, c.sent)
		if c.begins == "" {
			assert.Empty(t, response, who)
		} else {
			assert.True(t, strings.HasPrefix(response, c.begins), "%s: %s", who, response)
		}
		if strings.Contains(response, "HTTP/1.1 2") || strings.Contains(response, "allowed") {
			served++
		}
	}
	assert.Zero(t, served)
	assert.Contains(t, r.response(t, &tls.Config{Certificates: known}, review), `"allowed":true`, "the API server is still served")
	report(t, "nothing served", "%d clients without an accepted certificate and wrong requests, %d served", tried, served)
}

// replica.response sends a text on a new connection, and returns everything that the server sends back. If the
// connection cannot be opened, it returns an empty string.
func (r *replica) response(t *testing.T, config *tls.Config, sent string) string {
	t.Helper()
	config.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", r.reviews, config)
	if err != nil {
		return ""
	}
	defer conn.Close() //nolint:errcheck // everything was read
	require.NoError(t, conn.SetDeadline(time.Now().Add(wait)))
	_, _ = io.WriteString(conn, sent) // The server may close the connection before everything is sent.
	received, err := io.ReadAll(conn)
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	return string(received)
}
