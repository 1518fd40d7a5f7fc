package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// This file sends each response in one write. A response with a patch is longer than one write of net/http and TLS. Each part
// wakes the client, and that takes a tenth of the time of a whole review. So the parts are buffered and sent together.

// bufferingListener accepts connections that can buffer their writes.
type bufferingListener struct{ net.Listener }

// Accept returns the next connection.
func (l bufferingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &bufferingConnection{Conn: conn}, nil
}

// bufferingConnection is the TCP connection that TLS writes to. With HTTP/1.1 it has one response at a time, so one buffer
// is enough.
type bufferingConnection struct {
	net.Conn

	lock      sync.Mutex
	buffering bool
	buffer    bytes.Buffer
}

// Write sends a part, or buffers it.
func (c *bufferingConnection) Write(part []byte) (int, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.buffering {
		return c.buffer.Write(part)
	}
	return c.Conn.Write(part)
}

func (c *bufferingConnection) startBuffering() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.buffering = true
}

// sendBuffered sends the buffered parts. If that fails, it closes the connection, because TLS does not see the error and
// would continue in the middle of a TLS record.
func (c *bufferingConnection) sendBuffered() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.buffering = false
	_, err := c.buffer.WriteTo(c.Conn)
	if c.buffer.Reset(); c.buffer.Cap() > maxKeptBuffer {
		c.buffer = bytes.Buffer{}
	}
	if err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// maxKeptBuffer is the size, in bytes, of the largest buffer that a connection keeps between two responses: there can be a
// thousand connections.
const maxKeptBuffer = 16 << 10

type connectionKey struct{}

// withConnection is the ConnContext of the http.Server. It stores the bufferingConnection in the context.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if encrypted, ok := c.(*tls.Conn); ok {
		return context.WithValue(ctx, connectionKey{}, encrypted.NetConn())
	}
	return ctx
}

// writeWhole writes a body and its header in one write. The header must have a Content-Length. If the context has no
// connection, as in tests, it writes without a buffer.
func writeWhole(ctx context.Context, w http.ResponseWriter, body []byte) error {
	c, ok := ctx.Value(connectionKey{}).(*bufferingConnection)
	if !ok {
		_, err := w.Write(body)
		return err
	}
	c.startBuffering()
	_, err := w.Write(body)
	return errors.Join(err, http.NewResponseController(w).Flush(), c.sendBuffered())
}
