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

// listener accepts connections that can keep back what is written.
type listener struct{ net.Listener }

// Accept accepts one.
func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn}, nil
}

// connection is what TLS writes to. On one of HTTP/1.1 there is one answer at a time.
type connection struct {
	net.Conn

	lock  sync.Mutex
	keeps bool
	kept  bytes.Buffer
}

// Write sends a part, or keeps it back.
func (c *connection) Write(part []byte) (int, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.keeps {
		return c.kept.Write(part)
	}
	return c.Conn.Write(part)
}

func (c *connection) keep() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.keeps = true
}

// send sends what was kept back. TLS does not learn that this has failed, and would go on in the middle of a record: so the
// connection is closed then.
func (c *connection) send() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.keeps = false
	_, err := c.kept.WriteTo(c.Conn)
	if c.kept.Reset(); c.kept.Cap() > usualAnswer {
		c.kept = bytes.Buffer{}
	}
	if err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// usualAnswer is what a connection has room for between two answers: there can be a thousand connections.
const usualAnswer = 16 << 10

type connectionKey struct{}

// withConnection is the http.Server's ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if encrypted, ok := c.(*tls.Conn); ok {
		return context.WithValue(ctx, connectionKey{}, encrypted.NetConn())
	}
	return ctx
}

// atOnce writes a body whose length is in the header already. A test has no connection.
func atOnce(ctx context.Context, w http.ResponseWriter, body []byte) error {
	c, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		_, err := w.Write(body)
		return err
	}
	c.keep()
	_, err := w.Write(body)
	return errors.Join(err, http.NewResponseController(w).Flush(), c.send())
}
