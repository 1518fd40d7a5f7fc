package main

import (
	"container/list"
	"net"
	"sync"
)

// boundedListener closes the oldest connection when more than limit are open. If it stopped accepting connections instead,
// a client that holds connections could keep out the probes of the kubelet.
type boundedListener struct {
	net.Listener
	limit int

	mu sync.Mutex
	// open has the open connections, the oldest first.
	open list.List
}

// Accept accepts a connection, and closes the oldest one if there are too many.
func (l *boundedListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &boundedConn{Conn: accepted, listener: l}
	l.mu.Lock()
	c.at = l.open.PushBack(c)
	oldest := l.open.Front().Value.(*boundedConn)
	tooMany := l.open.Len() > l.limit
	l.mu.Unlock()
	if tooMany {
		_ = oldest.Close()
	}
	return c, nil
}

// boundedConn is a connection of a boundedListener.
type boundedConn struct {
	net.Conn
	listener *boundedListener
	at       *list.Element
}

// Close closes the connection, which then no longer counts.
func (c *boundedConn) Close() error {
	c.listener.mu.Lock()
	c.listener.open.Remove(c.at)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
