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

// A service treats connections like a Service of a cluster. A new connection goes to the next endpoint that the service
// regards as ready, and stays there until the connection ends, even if the endpoint becomes unready. The service does not
// read requests and repeats none. It learns about readiness late: it probes periodically, and uses the result of a probe
// only later, after the time in the field delay.
type service struct {
	listener net.Listener
	// period is the time between two probes. delay is the time until the service uses the result of a probe.
	period, delay time.Duration

	mu        sync.Mutex
	endpoints []*endpoint
	next      int
	open      map[net.Conn]bool
	tasks     sync.WaitGroup
}

// An endpoint is the address of a replica with its readiness. Without an address for health checks, it is always ready.
type endpoint struct {
	address
	ready bool
	gone  context.CancelFunc
}

// startService starts a service at the address at which the API server calls webhooks.
func startService(t *testing.T, address string) *service {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s := &service{listener: listener, period: chosenForm.probe, delay: chosenForm.probe, open: map[net.Conn]bool{}}
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
		s.closeConnections()
		s.tasks.Wait()
	})
	return s
}

// add adds an endpoint. An endpoint with an address for health checks gets connections after a probe has succeeded.
func (s *service) add(at address) *endpoint {
	ctx, cancel := context.WithCancel(context.Background())
	e := &endpoint{address: at, ready: at.http == "", gone: cancel}
	s.mu.Lock()
	s.endpoints = append(s.endpoints, e)
	s.mu.Unlock()
	if at.http != "" {
		s.tasks.Go(func() { s.watch(ctx, e) })
	}
	return e
}

// service.watch probes an endpoint as the kubelet does. After one failed probe the endpoint is not ready, as in the
// Deployment.
func (s *service) watch(ctx context.Context, e *endpoint) {
	ticker := time.NewTicker(s.period)
	defer ticker.Stop()
	known := false
	for {
		if is := ready(e.http) == nil; is != known {
			known = is
			spread := time.AfterFunc(s.delay, func() { s.set(e, is) })
			defer spread.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *service) set(e *endpoint, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ready = ready
}

// remove removes an endpoint, as if its Pod were deleted.
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

// pick returns the next ready endpoint, or nil.
func (s *service) pick() *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.endpoints {
		s.next++
		if e := s.endpoints[s.next%len(s.endpoints)]; e.ready {
			return e
		}
	}
	return nil
}

// untilReady waits until exactly this number of endpoints are ready.
func (s *service) untilReady(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		ready := 0
		for _, e := range s.endpoints {
			if e.ready {
				ready++
			}
		}
		return ready == count
	}, wait, 2*time.Millisecond, "the service does not know %d ready endpoints", count)
}

// forward connects to the next ready endpoint, and copies bytes between the client and the endpoint. If no endpoint is
// ready, or the endpoint does not listen, the client's connection is reset.
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
	var directions sync.WaitGroup
	for _, direction := range []struct{ to, from *net.TCPConn }{{server, client}, {client, server}} {
		directions.Go(func() {
			_, err := io.Copy(direction.to, direction.from)
			if err != nil { // If one connection is reset, the other one is reset too.
				_ = direction.to.SetLinger(0)
				_ = direction.to.Close()
				return
			}
			_ = direction.to.CloseWrite()
		})
	}
	directions.Wait()
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

// closeConnections closes every connection, so that the API server has to open new ones.
func (s *service) closeConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}
