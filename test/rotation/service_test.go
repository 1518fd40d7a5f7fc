package rotation

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// service takes the place of a Service: it forwards each connection to a replica that is ready.
type service struct {
	egress *controlplane.Egress
	// opened is the number of connections. In the TLS handshake of each one, the API server checks the certificate.
	opened atomic.Int64

	lock     sync.Mutex
	replicas []*replica
	next     int
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	var err error
	s.egress, err = controlplane.StartEgress(s.choose)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.egress.Stop()) })
	return s
}

// choose returns the address of the next replica that is ready, or an empty string if none is.
func (s *service) choose() (address string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for range s.replicas {
		s.next++
		if r := s.replicas[s.next%len(s.replicas)]; r.ready.Load() {
			s.opened.Add(1)
			return r.reviews
		}
	}
	return ""
}

func (s *service) allReady() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return !slices.ContainsFunc(s.replicas, func(r *replica) bool { return !r.ready.Load() })
}

func (s *service) setReplicas(replicas ...*replica) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.replicas = replicas
}
