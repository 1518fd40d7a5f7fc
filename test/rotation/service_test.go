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

// service does what a Service does: it hands each connection to a replica that is ready.
type service struct {
	egress *controlplane.Egress
	// opened counts the connections: each is a handshake, in which the certificate is looked at.
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

// choose is the next replica that is ready.
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

func (s *service) has(replicas ...*replica) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.replicas = replicas
}
