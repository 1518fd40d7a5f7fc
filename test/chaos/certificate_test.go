package chaos

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// reload is the longest time that a replica may need to serve a new certificate after its files have changed.
const reload = 10 * time.Second

// TestCertificateRotation renews the certificate under load, with the same CA, for one replica after the other. The API
// server keeps its connections. So a second client opens a new connection for each review and checks the certificate.
func TestCertificateRotation(t *testing.T) {
	c := newCluster(t)
	certs := []*secret{newSecret(t, c.issue(t, time.Hour)), newSecret(t, c.issue(t, time.Hour))}
	replicas := c.startTwoWith(t, certs...)
	front := &replica{address: address{reviews: c.listener.Addr().String()}}
	client := &http.Client{Timeout: sendTimeout, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: c.authority.Roots(), ServerName: "jupyter-user-webhook.jupyter-user-system.svc",
	}}}

	l, reconnecting := startLoad(50, c.creating()), startLoad(20, front.reviewing(client))
	var slowest time.Duration
	for range chosenForm.rotations {
		next := c.issue(t, time.Hour)
		for i, r := range replicas {
			began := time.Now()
			certs[i].set(t, next)
			r.untilPresented(t, next)
			slowest = max(slowest, time.Since(began))
			l.untilDone(t, 25, time.Now())
			reconnecting.untilDone(t, 25, time.Now())
		}
	}
	o, n := l.stop(), reconnecting.stop()
	o.assertWhole(t)
	n.assertWhole(t)
	within(t, o.machine, slowest, reload, "serving a new certificate")
	report(t, "0 failed, reload ≤ 10 s", "%d rotations on each of two replicas: served after %s at most; %s; %d new connections, %d failed",
		chosenForm.rotations, milliseconds(slowest), o, len(n.tries), len(n.failed()))
}

// untilPresented waits until the replica presents this certificate on a new connection.
func (r *replica) untilPresented(t *testing.T, pair pki.Pair) {
	t.Helper()
	leaf := pair.TLS(t).Leaf
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", r.reviews, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer conn.Close() //nolint:errcheck // nothing is sent on it
		return conn.ConnectionState().PeerCertificates[0].Equal(leaf)
	}, wait, 5*time.Millisecond, "the new certificate is served")
}

// TestWrongCertificate tests that while the replicas serve a wrong certificate, no notebook is admitted. With a correct
// certificate, notebooks are admitted again without a restart.
func TestWrongCertificate(t *testing.T) {
	c := newCluster(t)
	certs := newSecret(t, c.issue(t, time.Hour))
	replicas := c.startTwoWith(t, certs, certs)
	otherAuthority, err := pki.New(time.Hour, "another authority")
	require.NoError(t, err)
	forged, err := otherAuthority.Issue(time.Hour, "jupyter-user-webhook.jupyter-user-system.svc", "0.0.0.0")
	require.NoError(t, err)
	watch := machine.WatchDuring(t)
	var back time.Duration
	for name, wrong := range map[string]struct {
		pair    pki.Pair
		message string
	}{
		"expired":              {c.issue(t, -time.Minute), "x509: certificate has expired"},
		"of another authority": {forged, x509.UnknownAuthorityError{}.Error()},
	} {
		certs.set(t, wrong.pair)
		for _, r := range replicas {
			r.untilPresented(t, wrong.pair)
		}
		c.closeConnections()
		// The first request can fail with another message, because its connection was closed.
		require.Eventually(t, func() bool {
			_, err = c.create(t.Context(), notebook("alice"))
			require.Error(t, err, name)
			return strings.Contains(err.Error(), wrong.message)
		}, wait, 5*time.Millisecond, name)
		_, err = c.create(t.Context(), plainPod())
		assert.NoError(t, err, "a Pod that is no notebook is admitted")

		certs.set(t, c.issue(t, time.Hour))
		back = max(back, c.awaitAdmission(t))
	}
	within(t, watch, back, reload, "the first admission after a correct certificate")
	report(t, "denied; reload ≤ 10 s", "expired, and of another CA: notebooks denied, other Pods admitted; notebooks admitted %s after a "+
		"correct certificate", milliseconds(back))
}
