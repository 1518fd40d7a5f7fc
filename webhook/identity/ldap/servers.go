package ldap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

const (
	// maxIdle is the number of idle connections to one server that are kept. While more lookups run, more connections are open.
	maxIdle = 8
	// avoidedFor is the time during which a failed server is asked last.
	avoidedFor = 10 * time.Second
	// maxPacket is the maximum size of a response, in bytes. Responses are small, because lookups request no members or photos.
	maxPacket = 1 << 20
	// maxNesting limits the depth of elements in a response, because the library copies the content for each level. The
	// responses of a search have six levels.
	maxNesting = 16
)

// servers has the LDAP servers of the configuration, in the same order. A server that failed a moment ago (avoidedFor) is
// asked last.
type servers struct {
	config *config.LDAP
	list   []*server
}

type server struct {
	address, host string
	tls           bool

	mu     sync.Mutex
	idle   []*connection
	failed time.Time
}

// connection is a bound connection. Its deadline is set on the network connection, below TLS, so that it also ends a handshake
// and a half-received response.
type connection struct {
	*ldap.Conn
	network net.Conn
}

// limitPackets sets the library's limits for responses, global variables that only this package uses. Without them a server
// can make the library allocate gigabytes. Before StartTLS, anyone who responds in the server's place can do the same.
var limitPackets = sync.OnceFunc(func() { ber.MaxPacketLengthBytes, ber.MaxNestingDepth = maxPacket, maxNesting })

func newServers(c *config.LDAP) (*servers, error) {
	limitPackets()
	s := &servers{config: c}
	for _, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		port := u.Port()
		switch {
		case port != "":
		case u.Scheme == "ldaps":
			port = ldap.DefaultLdapsPort
		default:
			port = ldap.DefaultLdapPort
		}
		s.list = append(s.list, &server{
			address: net.JoinHostPort(u.Hostname(), port), host: u.Hostname(), tls: u.Scheme == "ldaps",
		})
	}
	if _, err := s.tlsConfig(""); err != nil {
		return nil, err
	}
	if c.Bind.Method == config.BindSimple {
		if _, err := readPassword(c.Bind.PasswordFile); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// query asks one server after another until a server gives a result, or until the time limit has passed. Each server except
// the last gets at most wait/2, so that callers still wait when the second server is asked.
func (s *servers) query(limit, wait time.Duration, question func(*ldap.Conn) error) error {
	deadline := time.Now().Add(limit)
	var failures []error
	inOrder := s.inOrder()
	for i, server := range inOrder {
		until := deadline
		if share := time.Now().Add(wait / 2); i < len(inOrder)-1 && share.Before(deadline) {
			until = share
		}
		err := s.queryServer(server, until, question)
		if err == nil || identity.IsUnusable(err) {
			return err
		}
		failures = append(failures, fmt.Errorf("%s: %w", server.address, err))
	}
	return errors.Join(failures...)
}

func (s *servers) inOrder() (ordered []*server) {
	var avoided []*server
	for _, server := range s.list {
		server.mu.Lock()
		if time.Since(server.failed) < avoidedFor {
			avoided = append(avoided, server)
		} else {
			ordered = append(ordered, server)
		}
		server.mu.Unlock()
	}
	return append(ordered, avoided...)
}

// queryServer asks one server, on a kept connection if there is one. If the kept connections have ended, as after a restart
// of the server, queryServer makes a new connection.
func (s *servers) queryServer(server *server, until time.Time, question func(*ldap.Conn) error) error {
	for {
		c, kept, err := s.connection(server, until)
		if err != nil {
			server.avoid()
			return err
		}
		err = question(c.Conn)
		if err == nil || !broken(err) && !c.IsClosing() {
			server.keep(c)
			return err
		}
		_ = c.Close()
		if !kept || time.Now().After(until) {
			server.avoid()
			return err
		}
	}
}

// broken reports whether an error means that the connection cannot be used again.
func broken(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.ErrorNetwork, ldap.ErrorUnexpectedMessage, ldap.ErrorUnexpectedResponse,
		ldap.LDAPResultUnavailable,
		ldap.LDAPResultBusy, ldap.LDAPResultServerDown, ldap.LDAPResultTimeout) || errors.Is(err, context.DeadlineExceeded)
}

// connection returns a bound connection, and reports whether it was kept from an earlier lookup.
func (s *servers) connection(server *server, until time.Time) (c *connection, kept bool, err error) {
	for c := server.take(); c != nil; c = server.take() {
		if !c.IsClosing() && c.network.SetDeadline(until) == nil {
			return c, true, nil
		}
		_ = c.Close()
	}
	c, err = s.connect(server, until)
	return c, false, err
}

func (s *server) take() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	c := s.idle[len(s.idle)-1]
	s.idle = s.idle[:len(s.idle)-1]
	return c
}

// keep keeps a connection for a later lookup, or closes it if maxIdle connections are kept. It removes the deadline of the
// previous lookup, which would end the connection's reader.
func (s *server) keep(c *connection) {
	s.mu.Lock()
	s.failed = time.Time{}
	keep := len(s.idle) < maxIdle && c.network.SetDeadline(time.Time{}) == nil
	if keep {
		s.idle = append(s.idle, c)
	}
	s.mu.Unlock()
	if !keep {
		_ = c.Close()
	}
}

func (s *server) avoid() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = time.Now()
}
