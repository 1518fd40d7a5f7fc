package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// replicas makes replicas of one webhook, which all use the same serving certificate.
type replicas struct {
	certificate *tls.Certificate
	// timeout is the time limit for other replicas. The product's own limits would be too short on a slow machine.
	timeout time.Duration
}

func newReplicas(t *testing.T) replicas {
	t.Helper()
	pair, err := pki.Make(t, time.Hour).Issue(time.Hour, "jupyter-user-webhook.jupyter-user-system.svc")
	require.NoError(t, err)
	return replicas{pair.TLS(t), machine.Patience}
}

func (r replicas) current(*tls.ClientHelloInfo) (*tls.Certificate, error) { return r.certificate, nil }

// withPeriod returns a replica with a probe period. Replicas with different periods have different configurations.
func (r replicas) withPeriod(t *testing.T, periodSeconds string, identities webhook.Identities, peers ...string) *edge {
	t.Helper()
	c, err := config.Parse([]byte("apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n" +
		"notebook: {probes: {startup: {periodSeconds: " + periodSeconds + "}}}\n"))
	require.NoError(t, err)
	others, err := server.NewPeers(peers, r.current)
	require.NoError(t, err)
	others.Timeout = r.timeout
	return newEdgeOf(t, c, identities, others)
}

// listen serves a handler as a replica does, and returns its address.
func (r replicas) listen(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{GetCertificate: r.current}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// TestVerifyByOtherReplica tests that a replica returns the decision of the replica that injected the Pod.
func TestVerifyByOtherReplica(t *testing.T) {
	all := newReplicas(t)
	uninvolved := all.listen(t, all.withPeriod(t, "1", nil))
	injecting := all.withPeriod(t, "2", nil)
	e := all.withPeriod(t, "3", nil, uninvolved, all.listen(t, injecting))
	injected := injecting.injected(t, notebook)

	_, r := e.post(t, "/verify", review(injected))
	assert.True(t, r.Response.Allowed, r.Response.Status.Message)
	assert.Equal(t, uid, r.Response.UID)
	assert.Equal(t, map[string]string{"requester": "qiang", "user": "qiang.guo03", "discovery": "AtStart"}, r.Response.AuditAnnotations)
	lines := e.log.Lines(t, "admission")
	require.Len(t, lines, 1)
	assert.Equal(t, "verified", lines[0]["outcome"])
	assert.Contains(t, lines[0]["peer"], "127.0.0.1:")

	_, r = e.post(t, "/verify", review(strings.Replace(injected, "--min-uid=1000", "--min-uid=1", 1)))
	assert.False(t, r.Response.Allowed)
	assert.Equal(t, 403, r.Response.Status.Code)
	assert.Equal(t, "Drifted", r.Response.Status.Reason)
	assert.Equal(t, "spec.initContainers[0].args", r.Response.Status.Details.Causes[0].Field)
	assert.Contains(t, e.metrics(t), `{discovery="",outcome="denied",reason="Drifted",review="verify"} 1`)
	assert.Equal(t, `jupyter_user_peer_questions_total{result="answered"} 2
jupyter_user_peer_questions_total{result="unanswered"} 0
`, e.series(t, "jupyter_user_peer_questions_total"))
}

// TestFaultOfOtherReplica tests that a replica also returns a denial with code 503 of another replica.
func TestFaultOfOtherReplica(t *testing.T) {
	all := newReplicas(t)
	injected := all.withPeriod(t, "2", nil).injected(t, notebook)
	e := all.withPeriod(t, "3", nil, all.listen(t, all.withPeriod(t, "2", identityFunc(silent))))
	_, r := e.post(t, "/verify", review(injected))
	assert.Equal(t, 503, r.Response.Status.Code)
	assert.Equal(t, "IdentitySilent", r.Response.Status.Reason)
}

// TestUnknownConfiguration tests that the Pod is denied with "try again" if no replica knows the configuration, and that
// the log has the cause.
func TestUnknownConfiguration(t *testing.T) {
	all, strangers := newReplicas(t), newReplicas(t)
	injecting := all.withPeriod(t, "2", nil)
	injected := injecting.injected(t, notebook)
	for name, c := range map[string]struct {
		peers []string
		why   string
	}{
		"no peers":            {nil, "there are no other replicas to ask (--peers)"},
		"same configuration":  {[]string{all.listen(t, all.withPeriod(t, "3", nil))}, "does not know the configuration either"},
		"refused connection":  {[]string{"127.0.0.1:1"}, "connection refused"},
		"another release":     {[]string{all.listen(t, http.NotFoundHandler())}, "404 Not Found"},
		"an empty response":   {[]string{all.listen(t, responding("{}"))}, "without a response"},
		"another certificate": {[]string{strangers.listen(t, strangers.withPeriod(t, "2", nil))}, "certificate"},
		"no TLS":              {[]string{plain(t, injecting)}, "HTTP response to HTTPS client"},
		"unknown host":        {[]string{"nobody.invalid:9443"}, "nobody.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			all.withPeriod(t, "3", nil, c.peers...).deniesUnknown(t, injected, c.why)
		})
	}
	t.Run("hanging peer", func(t *testing.T) {
		all.timeout = 50 * time.Millisecond
		all.withPeriod(t, "3", nil, all.hanging(t)).deniesUnknown(t, injected, "deadline exceeded")
	})
}

// deniesUnknown tests that the Pod is denied because no replica knows its configuration, and that the log has the cause.
func (e *edge) deniesUnknown(t *testing.T, injected, why string) {
	t.Helper()
	_, r := e.post(t, "/verify", review(injected))
	assert.False(t, r.Response.Allowed)
	assert.Equal(t, 503, r.Response.Status.Code)
	assert.Equal(t, "GenerationUnknown", r.Response.Status.Reason)
	assert.Contains(t, r.Response.Status.Message, "try again")
	lines := e.log.Lines(t, "admission")
	require.Len(t, lines, 1)
	assert.Equal(t, "fault", lines[0]["outcome"])
	assert.Contains(t, lines[0]["fault"], why)
}

// hanging starts a replica that does not respond until the test ends.
func (r replicas) hanging(t *testing.T) (address string) {
	t.Helper()
	over := make(chan struct{})
	address = r.listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(func() { close(over) }) // before the server is closed, which waits for its requests
	return address
}

func responding(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
}

func plain(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// TestPeerRequestIsNotForwarded tests two replicas that both lack the configuration. The first forwards the review to both
// addresses, so also to itself, and neither forwards it again.
func TestPeerRequestIsNotForwarded(t *testing.T) {
	all := newReplicas(t)
	injected := all.withPeriod(t, "2", nil).injected(t, notebook)
	var asked atomic.Int32
	var handlers [2]atomic.Pointer[edge]
	var addresses []string
	for i := range handlers {
		addresses = append(addresses, all.listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			handlers[i].Load().ServeHTTP(w, r)
		})))
	}
	for i := range handlers {
		handlers[i].Store(all.withPeriod(t, "3", nil, addresses...))
	}
	_, r := handlers[0].Load().post(t, "/verify", review(injected))
	assert.Equal(t, "GenerationUnknown", r.Response.Status.Reason)
	assert.Equal(t, int32(2), asked.Load())
}

// TestReplicasAreAskedOnlyIfNeeded tests that a replica decides alone about Pods of its own configuration, and about Pods
// that were not injected.
func TestReplicasAreAskedOnlyIfNeeded(t *testing.T) {
	all := newReplicas(t)
	e := all.withPeriod(t, "2", nil, all.listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		assert.Fail(t, "asked")
	})))
	injected := e.injected(t, notebook)
	e.post(t, "/verify", review(injected))
	e.post(t, "/verify", review(notebook))
	e.post(t, "/verify", review(document("", oneContainer)))
	e.post(t, "/verify", review("[]"))
	e.post(t, "/mutate", review(injected))
}

func TestNewPeers(t *testing.T) {
	_, err := server.NewPeers([]string{"replicas"}, nil)
	assert.ErrorContains(t, err, `the peer "replicas" is not host:port`)
	peers, err := server.NewPeers(nil, nil)
	require.NoError(t, err)
	assert.Less(t, peers.Timeout, time.Second, "the API server and KubeSpawner wait for two and three seconds")
}

// TestPeerRequestsAreLimited tests that Pods with made-up configurations cause only a few concurrent requests.
func TestPeerRequestsAreLimited(t *testing.T) {
	all := newReplicas(t)
	all.timeout = time.Second
	var asked, highest atomic.Int32
	over := make(chan struct{})
	slow := all.listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		highest.Store(max(highest.Load(), asked.Add(1)))
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-over:
		}
		asked.Add(-1)
	}))
	t.Cleanup(func() { close(over) })
	e := all.withPeriod(t, "3", nil, slow)
	injected := all.withPeriod(t, "2", nil).injected(t, notebook)
	var reviews sync.WaitGroup
	for range 40 {
		reviews.Go(func() {
			_, r := e.post(t, "/verify", review(injected))
			assert.Equal(t, "GenerationUnknown", r.Response.Status.Reason)
		})
	}
	require.Eventually(t, func() bool { return asked.Load() > 0 }, machine.Patience, time.Millisecond)
	gone, cancel := context.WithCancel(t.Context())
	cancel() // A review without time left does not wait.
	e.send(t, request("/verify", review(injected)).WithContext(gone))
	reviews.Wait()
	// A request that has ended in this replica can still run in the other replica.
	assert.LessOrEqual(t, highest.Load(), int32(16))
	assert.True(t, strings.Contains(e.log.String(), "8 requests to other replicas are running, and none has ended in time"))
}

// TestLastPeerIsAskedFirst tests that reviews go to the replica that decided the most recent forwarded review, over the
// existing connection, until that replica is gone.
func TestLastPeerIsAskedFirst(t *testing.T) {
	all := newReplicas(t)
	var uninvolvedAsked, secondAsked atomic.Int32
	counted := func(counter *atomic.Int32, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			counter.Add(1)
			next.ServeHTTP(w, r)
		})
	}
	injecting := all.withPeriod(t, "2", nil)
	var connections atomic.Int32
	first := httptest.NewUnstartedServer(injecting)
	first.TLS = &tls.Config{GetCertificate: all.current}
	first.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	first.StartTLS()
	t.Cleanup(first.Close)
	uninvolved := all.listen(t, counted(&uninvolvedAsked, all.withPeriod(t, "1", nil)))
	e := all.withPeriod(t, "3", nil, uninvolved, first.Listener.Addr().String())
	injected := injecting.injected(t, notebook)
	verified := func(e *edge) {
		t.Helper()
		_, r := e.post(t, "/verify", review(injected))
		assert.True(t, r.Response.Allowed, r.Response.Status.Message)
	}
	for range 10 {
		verified(e)
	}
	assert.LessOrEqual(t, uninvolvedAsked.Load(), int32(1), "the replica without the configuration is asked at most once")
	assert.Equal(t, int32(1), connections.Load())

	second := all.listen(t, counted(&secondAsked, injecting))
	e = all.withPeriod(t, "3", nil, first.Listener.Addr().String())
	verified(e)
	first.CloseClientConnections() // This must not cause a denial.
	verified(e)

	e = all.withPeriod(t, "3", nil, first.Listener.Addr().String(), second)
	verified(e)
	first.Close()
	secondAsked.Store(0)
	verified(e)
	assert.NotZero(t, secondAsked.Load(), "the first replica is gone, so the second is asked")
}
