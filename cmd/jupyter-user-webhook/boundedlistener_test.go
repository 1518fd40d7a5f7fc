package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPortOfMetricsIsBounded tests that the port of health and metrics rejects long headers, and closes a connection whose
// request stays incomplete.
func TestPortOfMetricsIsBounded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serve := observe(listener, func(*http.Request) error { return nil }, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var served sync.WaitGroup
	served.Go(func() { assert.NoError(t, serve(ctx)) })
	defer served.Wait()
	defer stop()
	connect := func() net.Conn {
		c, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}

	long := connect()
	_, err = fmt.Fprintf(long, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", strings.Repeat("x", 16<<10))
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(long), nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)

	unfinished := connect()
	_, err = io.WriteString(unfinished, "GET /healthz HTTP/1.1\r\n")
	require.NoError(t, err)
	_, err = io.ReadAll(unfinished)
	assert.NoError(t, err, "the server closes the connection")
}

// TestBoundedListener tests that the oldest connection is closed if there are too many, and that a closed one does not count.
func TestBoundedListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	bounded := &boundedListener{Listener: listener, limit: 2}
	defer bounded.Close() //nolint:errcheck // the end of the test
	connect := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		server, err = bounded.Accept()
		require.NoError(t, err)
		return client, server
	}
	assertOpen := func(client, server net.Conn) {
		_, err := server.Write([]byte("x"))
		require.NoError(t, err)
		_, err = client.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	first, _ := connect()
	second, secondServer := connect()
	third, thirdServer := connect()
	_, err = first.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
	assertOpen(second, secondServer)
	assertOpen(third, thirdServer)
	require.NoError(t, secondServer.Close())
	fourth, fourthServer := connect()
	assertOpen(third, thirdServer)
	assertOpen(fourth, fourthServer)
}
