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

// An answer with a patch is longer than what net/http and TLS write in one go, and each part wakes the client up, which takes a
// tenth of the time of a whole review. So the parts are kept back until the last, and go out in one.

// bufferingListener accepts connections that can keep back what is written.
type bufferingListener struct{ net.Listener }

// Accept accepts one.
func (l bufferingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &bufferingConnection{Conn: conn}, nil
}

// bufferingConnection is what TLS writes to. On one of HTTP/1.1 there is one answer at a time.
type bufferingConnection struct {
	net.Conn

	lock      sync.Mutex
	buffering bool
	buffer    bytes.Buffer
}

// Write sends a part, or keeps it back.
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

// sendBuffered sends what was kept back. TLS does not learn that this has failed, and would go on in the middle of a record: so
// the connection is closed then.
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

// maxKeptBuffer is what a connection has room for between two answers: there can be a thousand connections.
const maxKeptBuffer = 16 << 10

type connectionKey struct{}

// withConnection is the http.Server's ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if encrypted, ok := c.(*tls.Conn); ok {
		return context.WithValue(ctx, connectionKey{}, encrypted.NetConn())
	}
	return ctx
}

// writeWhole writes a body whose length is in the header already. A test has no connection.
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
