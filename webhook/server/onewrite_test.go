package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// countingListener counts the writes to the connections that it accepts.
type countingListener struct {
	net.Listener
	writes atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &countingConn{conn, &l.writes}, err
}

type countingConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c *countingConn) Write(part []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(part)
}

// TestResponseIsOneWrite tests that short and long responses are one write each, and that the connection stays open.
func TestResponseIsOneWrite(t *testing.T) {
	pair, err := pki.New(time.Hour, "localhost")
	require.NoError(t, err)
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	require.NoError(t, err)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := &countingListener{Listener: inner}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		assert.NoError(t, err)
		body := strings.Repeat("x", size)
		w.Header().Set("Content-Length", strconv.Itoa(size))
		assert.NoError(t, writeWhole(r.Context(), w, []byte(body)))
	})
	server := New(listener, handler, Options{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pair.Cert))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	_, port, err := net.SplitHostPort(inner.Addr().String())
	require.NoError(t, err)
	send := func(size int) string {
		response, err := client.Get("https://localhost:" + port + "/" + strconv.Itoa(size))
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return string(body)
	}
	send(1) // opens the connection
	for _, size := range []int{1, 100, 5_000, 100_000, 1_000_000, 2} {
		before := listener.writes.Load()
		assert.Len(t, send(size), size)
		assert.EqualValues(t, 1, listener.writes.Load()-before, "%d bytes", size)
	}
	client.CloseIdleConnections()
	stop()
	require.NoError(t, <-served)
}

// blockedConn is a connection whose client reads nothing.
type blockedConn struct {
	net.Conn
	closed bool
}

func (b *blockedConn) Write([]byte) (int, error) { return 3, os.ErrDeadlineExceeded }
func (b *blockedConn) Close() error              { b.closed = true; return nil }

func TestFailedWriteClosesConnection(t *testing.T) {
	blocked := &blockedConn{}
	c := &bufferingConnection{Conn: blocked}
	c.startBuffering()
	_, err := c.Write([]byte("a response"))
	require.NoError(t, err)
	require.ErrorIs(t, c.sendBuffered(), os.ErrDeadlineExceeded)
	assert.True(t, blocked.closed)
	assert.Zero(t, c.buffer.Len())
}
