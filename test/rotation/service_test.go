package rotation

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// service does what a Service does: it hands each connection to a replica that is ready. The API server reaches it by its egress
// selector, and so calls the webhook by the Service's name, over HTTP/1.1, with the certificate that the name asks for.
type service struct {
	socket string
	// opened counts the connections: each is a handshake, in which the certificate is looked at.
	opened atomic.Int64

	lock     sync.Mutex
	replicas []*replica
	next     int
}

func newService(t *testing.T) *service {
	t.Helper()
	// Not t.TempDir, whose names are longer than a socket's may be.
	dir, err := os.MkdirTemp("", "service-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &service{socket: filepath.Join(dir, "egress")}
	listener, err := net.Listen("unix", s.socket)
	require.NoError(t, err)
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// egressSelector has the API server come here with what it calls in the cluster.
func (s *service) egressSelector(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "egress.yaml")
	text := fmt.Sprintf(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport:
        uds:
          udsName: %s
`, s.socket)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// choose is the next replica that is ready.
func (s *service) choose() (address string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for range s.replicas {
		s.next++
		if r := s.replicas[s.next%len(s.replicas)]; r.ready.Load() {
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

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "CONNECT alone", http.StatusMethodNotAllowed)
		return
	}
	to, err := net.Dial("tcp", s.choose())
	if err != nil {
		http.Error(w, "no replica is ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer to.Close() //nolint:errcheck // both ends are done with it
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close() //nolint:errcheck // likewise
	s.opened.Add(1)
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
}
