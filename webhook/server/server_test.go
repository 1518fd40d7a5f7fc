package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// testServer is a Server on its own port.
type testServer struct {
	*server.Server
	address string
	pair    pki.Pair
	cert    atomic.Pointer[tls.Certificate]
	log     *journal.Journal
	// stop asks the server to stop; ended receives the error of Run.
	stop  context.CancelFunc
	ended chan error
}

func newTestServer(t *testing.T, handler http.Handler, drain time.Duration) (*testServer, net.Listener) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &testServer{address: listener.Addr().String(), pair: pki.Make(t, time.Hour), log: &journal.Journal{}, ended: make(chan error, 1)}
	r.cert.Store(r.pair.TLS(t))
	r.Server = server.New(listener, handler, server.Options{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := r.cert.Load(); cert != nil {
				return cert, nil
			}
			return nil, errors.New("no certificate")
		},
		Drain: drain,
		Log:   slog.New(slog.NewJSONHandler(r.log, nil)),
	})
	return r, listener
}

func (r *testServer) run() {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- r.Run(ctx) }()
}

func start(t *testing.T, handler http.Handler, drain time.Duration) *testServer {
	t.Helper()
	r, _ := newTestServer(t, handler, drain)
	return r.started(t)
}

// startDraining starts a server whose drain ends when the channel is closed.
func startDraining(t *testing.T, handler http.Handler, over <-chan time.Time) *testServer {
	t.Helper()
	r, _ := newTestServer(t, handler, 0)
	r.DrainUntil(over)
	return r.started(t)
}

func (r *testServer) started(t *testing.T) *testServer {
	t.Helper()
	r.run()
	t.Cleanup(r.stop)
	r.untilReady(t)
	return r
}

func (r *testServer) untilReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return r.Ready(nil) == nil }, machine.Patience, 5*time.Millisecond)
}

// client returns a client that keeps its connections, as an API server does.
func (r *testServer) client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: r.pair.Roots()},
		MaxIdleConnsPerHost: 25,
		ForceAttemptHTTP2:   true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: machine.Patience}
}

func (r *testServer) mutateURL() string { return "https://" + r.address + "/mutate" }

func TestReadyWhileServing(t *testing.T) {
	r, _ := newTestServer(t, http.NotFoundHandler(), time.Second)
	assert.EqualError(t, r.Ready(nil), "not serving")
	r.run()
	r.untilReady(t)
	r.stop()
	require.Eventually(t, func() bool { return r.Ready(nil) != nil }, machine.Patience, time.Millisecond)
	assert.EqualError(t, r.Ready(nil), "draining")
	assert.NoError(t, <-r.ended)
	assert.EqualError(t, r.Ready(nil), "not serving")
}

func TestReadyChecksCertificate(t *testing.T) {
	r := start(t, http.NotFoundHandler(), 0)
	r.cert.Store(pki.Make(t, -time.Minute).TLS(t))
	require.Error(t, r.Ready(nil))
	assert.Contains(t, r.Ready(nil).Error(), "the serving certificate is valid from ")

	r.cert.Store(nil)
	require.Error(t, r.Ready(nil))
	assert.EqualError(t, r.Ready(nil), "no certificate")

	r.cert.Store(r.pair.TLS(t))
	assert.NoError(t, r.Ready(nil), "a new certificate makes it ready again")
}

func TestReadyOnUnspecifiedAddress(t *testing.T) {
	listener, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	pair := pki.Make(t, time.Hour)
	s := server.New(listener, http.NotFoundHandler(), server.Options{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.TLS(t), nil },
		Log:            slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	assert.Eventually(t, func() bool { return s.Ready(nil) == nil }, machine.Patience, 5*time.Millisecond)
	stop()
	assert.NoError(t, <-ended)
}

// TestReadyLimitsHandshakes tests that many probes cause few handshakes: clients of the health port are not authenticated.
func TestReadyLimitsHandshakes(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	pair, handshakes := pki.Make(t, time.Hour).TLS(t), atomic.Int64{}
	s := server.New(listener, http.NotFoundHandler(), server.Options{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.Conn != nil {
				handshakes.Add(1)
			}
			return pair, nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	require.Eventually(t, func() bool { return s.Ready(nil) == nil }, machine.Patience, 5*time.Millisecond)
	began := time.Now()
	for range 1000 {
		assert.NoError(t, s.Ready(nil))
	}
	assert.LessOrEqual(t, handshakes.Load(), 2+int64(time.Since(began)/time.Second))
	stop()
	assert.NoError(t, <-ended)
}

func TestRunError(t *testing.T) {
	r, listener := newTestServer(t, http.NotFoundHandler(), 0)
	require.NoError(t, listener.Close())
	r.run()
	err := <-r.ended
	require.Error(t, err)
	assert.Contains(t, err.Error(), "serve reviews: ")
	assert.EqualError(t, r.Ready(nil), "not serving")
}

func TestReviewOverTLS(t *testing.T) {
	r := start(t, newEdge(t, nil), 0)
	client := r.client(t)
	for range 3 {
		response, err := client.Post(r.mutateURL(), "application/json", strings.NewReader(review(notebook)))
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.1", response.Proto)
		assert.False(t, response.Close, "the connection is kept")
		assert.True(t, read(t, response).Response.Allowed)
		require.NoError(t, response.Body.Close())
	}
}

func TestNegotiatesHTTP11(t *testing.T) {
	r := start(t, http.NotFoundHandler(), 0)
	for name, c := range map[string]struct {
		offered []string
		agreed  string
		denied  bool
	}{
		"no protocol":                     {nil, "", false},
		"HTTP/1.1":                        {[]string{"http/1.1"}, "http/1.1", false},
		"HTTP/2 and HTTP/1.1":             {[]string{"h2", "http/1.1"}, "http/1.1", false},
		"HTTP/2":                          {[]string{"h2"}, "", true},
		"another protocol":                {[]string{"spdy/3"}, "", true},
		"HTTP/2 without TLS and HTTP/1.1": {[]string{"h2c", "http/1.1"}, "http/1.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: r.pair.Roots(), NextProtos: c.offered})
			if c.denied {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.agreed, conn.ConnectionState().NegotiatedProtocol)
			// A client that sends HTTP/2, which was not negotiated, is rejected.
			_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
			require.NoError(t, err)
			received, err := io.ReadAll(conn)
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(string(received), "HTTP/1.1 4") || strings.HasPrefix(string(received), "HTTP/1.1 5"), string(received))
			assert.NoError(t, conn.Close())
		})
	}
}

func TestOldTLSIsDenied(t *testing.T) {
	r := start(t, newEdge(t, nil), 0)
	_, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: r.pair.Roots(), MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	assert.Error(t, err)

	response, err := http.Post("http://"+r.address+"/mutate", "application/json", strings.NewReader(review(notebook)))
	require.NoError(t, err)
	assert.Equal(t, 400, response.StatusCode)
	assert.NoError(t, response.Body.Close())
}

// TestTooLargeBodyOverTLS tests that the response arrives although the body is still being sent, and that the server continues.
func TestTooLargeBodyOverTLS(t *testing.T) {
	r := start(t, newEdge(t, nil), 0)
	large := review(document(forQiang, `"containers":[{"name":"nb","args":["`+strings.Repeat("x", 8<<20)+`"]}]`))
	for name, body := range map[string]io.Reader{
		"with its length": strings.NewReader(large),
		"in chunks":       io.MultiReader(strings.NewReader(large)),
	} {
		t.Run(name, func(t *testing.T) {
			client := r.client(t)
			response, err := client.Post(r.mutateURL(), "application/json", body)
			require.NoError(t, err)
			reply := read(t, response)
			assert.Equal(t, 413, reply.Response.Status.Code)
			assert.Equal(t, uid, reply.Response.UID)
			assert.NoError(t, response.Body.Close())

			response, err = client.Post(r.mutateURL(), "application/json", strings.NewReader(review(notebook)))
			require.NoError(t, err)
			assert.True(t, read(t, response).Response.Allowed)
			assert.NoError(t, response.Body.Close())
		})
	}
}

func TestLongHeadersAreDenied(t *testing.T) {
	r := start(t, newEdge(t, nil), 0)
	req, err := http.NewRequest(http.MethodPost, r.mutateURL(), strings.NewReader(review(notebook)))
	require.NoError(t, err)
	req.Header.Set("X-Long", strings.Repeat("x", 128<<10))
	response, err := r.client(t).Do(req)
	require.NoError(t, err)
	assert.Equal(t, 431, response.StatusCode)
	assert.NoError(t, response.Body.Close())
}
