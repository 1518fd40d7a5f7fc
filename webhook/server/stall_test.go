package server

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestServerTimeouts tests the timeouts that startWithTimeout replaces, and the maximum size of a header.
func TestServerTimeouts(t *testing.T) {
	s := New(nil, http.NotFoundHandler(), Options{Log: slog.New(slog.DiscardHandler)})
	assert.Equal(t, 10*time.Second, s.http.ReadHeaderTimeout)
	assert.Equal(t, 10*time.Second, s.http.ReadTimeout)
	assert.Equal(t, 20*time.Second, s.http.WriteTimeout)
	assert.Equal(t, 2*time.Minute, s.http.IdleTimeout, "over the API server's 90 s")
	assert.Equal(t, 64<<10, s.http.MaxHeaderBytes)
}

// TestStalledConnectionsAreClosed tests that the server closes the connection of a client that sends nothing, only a part of a
// request, or nothing more after a complete one, or that sends very slowly.
func TestStalledConnectionsAreClosed(t *testing.T) {
	const timeout = 300 * time.Millisecond
	address, config := startWithTimeout(t, timeout)

	const head = "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, sent := range map[string]string{
		"nothing":                          "",
		"part of the request line":         "POST /mut",
		"part of the header":               "POST /mutate HTTP/1.1\r\nHost:",
		"header without its end":           head,
		"no body":                          head + "Content-Length: 1000\r\n\r\n",
		"part of the body":                 head + "Content-Length: 1000\r\n\r\n{\"kind\":",
		"part of a chunk":                  head + "Transfer-Encoding: chunked\r\n\r\n100\r\n{",
		"no last chunk":                    head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"part of the body of another path": "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
		"idle after a complete request":    head + "Content-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := tls.Dial("tcp", address, config)
			require.NoError(t, err)
			_, err = io.WriteString(conn, sent)
			require.NoError(t, err)
			assertCloses(t, conn)
		})
	}
	t.Run("no handshake", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		assertCloses(t, conn)
	})
	t.Run("slow body", func(t *testing.T) {
		t.Parallel()
		conn, err := tls.Dial("tcp", address, config)
		require.NoError(t, err)
		_, err = io.WriteString(conn, head+"Content-Length: 1000000\r\n\r\n{")
		require.NoError(t, err)
		go func() {
			for err == nil {
				_, err = io.WriteString(conn, " ")
				<-time.After(timeout / 10)
			}
		}()
		assertCloses(t, conn)
	})
	t.Run("slow header", func(t *testing.T) {
		t.Parallel()
		conn, err := tls.Dial("tcp", address, config)
		require.NoError(t, err)
		go func() {
			for text := head; len(text) > 0 && err == nil; text = text[1:] {
				_, err = io.WriteString(conn, text[:1])
				<-time.After(timeout / 10)
			}
		}()
		assertCloses(t, conn)
	})
}

// TestReviewsDuringStalledConnections tests that another client gets its responses while 300 clients stall.
func TestReviewsDuringStalledConnections(t *testing.T) {
	address, config := startWithTimeout(t, time.Minute)
	var dialling sync.WaitGroup
	for range 4 {
		dialling.Go(func() {
			for range 75 {
				conn, err := tls.Dial("tcp", address, config)
				if !assert.NoError(t, err) {
					return
				}
				t.Cleanup(func() { _ = conn.Close() })
				_, err = io.WriteString(conn, "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
				assert.NoError(t, err)
			}
		})
	}
	dialling.Wait()
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for range 20 {
		response, err := client.Post("https://"+address+"/mutate", "application/json", strings.NewReader("{}"))
		require.NoError(t, err)
		assert.Equal(t, 200, response.StatusCode)
		assert.NoError(t, response.Body.Close())
	}
}

// startWithTimeout starts a server whose timeouts are the given timeout. Only WriteTimeout is twice as long.
func startWithTimeout(t *testing.T, timeout time.Duration) (address string, client *tls.Config) {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	handler := NewHandler(webhook.New(config.Default(), nil), log, metrics, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	pair := pki.Make(t, time.Hour)
	cert := pair.TLS(t)

	s := New(listener, handler, Options{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }, Log: log,
	})
	s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout = timeout, timeout, 2*timeout, timeout
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})
	return listener.Addr().String(), &tls.Config{RootCAs: pair.Roots()}
}

// assertCloses waits until the server closes the connection.
func assertCloses(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close() //nolint:errcheck // the server has closed it
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if err != nil {
		assert.False(t, assert.ErrorAs(t, err, &timeout) && timeout.Timeout(), "still open")
	}
}
