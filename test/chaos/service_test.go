package chaos

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A service does with connections what a Service of a cluster does: a new one goes to an endpoint that is thought to be
// ready, each in its turn, and stays there to its end, whatever becomes of the endpoint. It knows nothing of requests, tries
// nothing again, and learns late: readiness is asked for every now and then, and spreads for a while.
type service struct {
	listener net.Listener
	// period is between two probes, and spreading how long their answer is on its way to what forwards.
	period, spreading time.Duration

	mu        sync.Mutex
	endpoints []*endpoint
	turn      int
	open      map[net.Conn]bool
	tasks     sync.WaitGroup
}

// An endpoint is a place that is probed; one without health is always ready.
type endpoint struct {
	place
	ready bool
	gone  context.CancelFunc
}

// startService listens where the API server calls webhooks.
func startService(t *testing.T, address string) *service {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s := &service{listener: listener, period: played.probe, spreading: played.probe, open: map[net.Conn]bool{}}
	s.tasks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.tasks.Go(func() { s.forward(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		assert.NoError(t, listener.Close())
		s.mu.Lock()
		for _, e := range s.endpoints {
			e.gone()
		}
		s.mu.Unlock()
		s.cut()
		s.tasks.Wait()
	})
	return s
}

// add makes an endpoint known, which gets connections once it is seen to be ready.
func (s *service) add(at place) *endpoint {
	ctx, cancel := context.WithCancel(context.Background())
	e := &endpoint{place: at, ready: at.http == "", gone: cancel}
	s.mu.Lock()
	s.endpoints = append(s.endpoints, e)
	s.mu.Unlock()
	if at.http != "" {
		s.tasks.Go(func() { s.watch(ctx, e) })
	}
	return e
}

// watch probes as the kubelet does, by the Deployment's failureThreshold of 1.
func (s *service) watch(ctx context.Context, e *endpoint) {
	every := time.NewTicker(s.period)
	defer every.Stop()
	known := false
	for {
		if is := ready(e.http) == nil; is != known {
			known = is
			spread := time.AfterFunc(s.spreading, func() { s.set(e, is) })
			defer spread.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

func (s *service) set(e *endpoint, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ready = ready
}

// remove takes an endpoint out, as when its pod is gone.
func (s *service) remove(e *endpoint) {
	e.gone()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.endpoints {
		if other == e {
			s.endpoints = append(s.endpoints[:i:i], s.endpoints[i+1:]...)
			return
		}
	}
}

// pick is the next one that is thought to be ready.
func (s *service) pick() *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.endpoints {
		s.turn++
		if e := s.endpoints[s.turn%len(s.endpoints)]; e.ready {
			return e
		}
	}
	return nil
}

// untilReady waits until connections go to so many.
func (s *service) untilReady(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		known := 0
		for _, e := range s.endpoints {
			if e.ready {
				known++
			}
		}
		return known == count
	}, wait, 2*time.Millisecond, "the service does not know %d ready endpoints", count)
}

// forward copies both ways. Where nobody is ready, and where nobody listens, the client is denied.
func (s *service) forward(client *net.TCPConn) {
	s.opened(client)
	defer s.closed(client)
	e := s.pick()
	if e == nil {
		_ = client.SetLinger(0)
		return
	}
	conn, err := net.DialTimeout("tcp", e.reviews, wait)
	if err != nil {
		_ = client.SetLinger(0)
		return
	}
	server := conn.(*net.TCPConn)
	s.opened(server)
	defer s.closed(server)
	var both sync.WaitGroup
	for _, way := range []struct{ to, from *net.TCPConn }{{server, client}, {client, server}} {
		both.Go(func() {
			_, err := io.Copy(way.to, way.from)
			if err != nil { // A connection that was cut is cut on the other side too.
				_ = way.to.SetLinger(0)
				_ = way.to.Close()
				return
			}
			_ = way.to.CloseWrite()
		})
	}
	both.Wait()
}

func (s *service) opened(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[conn] = true
}

func (s *service) closed(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
	_ = conn.Close()
}

// cut closes every connection, so that the API server has to open new ones.
func (s *service) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}
