package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

// Server serves reviews over TLS.
//
// It is an http.Server of our own around controller-runtime's certificate watcher, because
// controller-runtime's server has no ReadTimeout, waits 32 s for headers, drops idle connections at the very second at
// which the API server's client does (90 s, so that a review can be lost between them), and stops the moment it is asked.
type Server struct {
	listener net.Listener
	http     *http.Server
	tls      *tls.Config
	drain    time.Duration
	// drained is time.After, for all but tests.
	drained func(time.Duration) <-chan time.Time
	log     *slog.Logger

	serving, draining atomic.Bool
	lastHandshake     handshake
}

// handshake is the server's last one with itself that went well.
type handshake struct {
	sync.Mutex
	at          time.Time
	certificate *x509.Certificate
}

// Options of a Server.
type Options struct {
	// GetCertificate answers the current serving certificate.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// VerifyClient says why a client is not served. Everybody is without it; with it, so is who has the serving certificate
	// itself: another replica.
	VerifyClient func(tls.ConnectionState) error
	// Drain is how long the server goes on serving after it was asked to stop: until every API server has learnt that
	// it is no endpoint any more. They go on using the connections that they have.
	Drain time.Duration
	Log   *slog.Logger
}

const (
	// maxConnections is many times what a few API servers open (25 idle ones each) and little enough memory.
	maxConnections  = 1024
	headerTimeout   = 10 * time.Second
	responseTimeout = 10 * time.Second
	// idleTimeout is over the API server's 90 s, so that the client closes first and no request meets a closed connection.
	idleTimeout = 2 * time.Minute
	// bodyTimeout is how long a whole request may take to arrive. An API server on the same network sends it at once.
	bodyTimeout = 10 * time.Second
	// shutdownTimeout is how long requests that are being answered may take once connections are closed.
	shutdownTimeout = 10 * time.Second
	// handshakeLifetime is how long a handshake with itself says that the server is reachable; a kubelet asks every two seconds.
	handshakeLifetime = time.Second
)

// New takes over the listener.
func New(listener net.Listener, handler http.Handler, o Options) *Server {
	s := &Server{listener: listener, drain: o.Drain, drained: time.After, log: o.Log}
	// The API server speaks HTTP/1.1 to a Service, so HTTP/2 and what can be done with its streams are left out.
	s.tls = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: o.GetCertificate,
	}
	if o.VerifyClient != nil {
		s.tls.ClientAuth = tls.RequireAnyClientCert
		s.tls.VerifyConnection = func(state tls.ConnectionState) error {
			if isReplica(state, o.GetCertificate) {
				return nil
			}
			return o.VerifyClient(state)
		}
	}
	s.http = &http.Server{
		Handler:           s.closeWhileDraining(limitLargeBodies(handler, o.Log)),
		ConnContext:       withConnection,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      bodyTimeout + responseTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	return s
}

// Run serves until the context ends, and then until nobody is left who might still send a review.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		served <- s.http.Serve(tls.NewListener(bufferingListener{netutil.LimitListener(s.listener, maxConnections)}, s.tls))
	}()
	s.serving.Store(true)
	defer s.serving.Store(false)

	select {
	case err := <-served:
		return fmt.Errorf("serve reviews: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("draining", "for", s.drain.String())
	select {
	case err := <-served:
		return fmt.Errorf("serve reviews: %w", err)
	case <-s.drained(s.drain):
	}
	last, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(last); err != nil {
		return fmt.Errorf("finish the last reviews: %w", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve reviews: %w", err)
	}
	return nil
}

// closeWhileDraining asks clients of a draining server, with each answer, to open their next connection elsewhere.
func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Ready says why the server should get no reviews: it does not listen, it is about to stop, or its certificate is not
// one that an API server would accept now. It asks the way an API server does, by a handshake.
func (s *Server) Ready(_ *http.Request) error {
	if !s.serving.Load() {
		return errors.New("not serving")
	}
	if s.draining.Load() {
		return errors.New("draining")
	}
	own, err := s.tls.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		return err
	}
	cert, err := s.servedCertificate(own)
	if err != nil {
		return fmt.Errorf("not reachable: %w", err)
	}
	if now := time.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("the serving certificate is valid from %s to %s only", cert.NotBefore, cert.NotAfter)
	}
	return nil
}

// servedCertificate answers the certificate that is served. One handshake is for everybody who asks within a moment: nobody who
// reaches the port for health is to have them made one after the other.
func (s *Server) servedCertificate(own *tls.Certificate) (*x509.Certificate, error) {
	s.lastHandshake.Lock()
	defer s.lastHandshake.Unlock()
	if last := s.lastHandshake.certificate; last != nil && bytes.Equal(last.Raw, own.Certificate[0]) &&
		time.Since(s.lastHandshake.at) < handshakeLifetime {
		return last, nil
	}
	// Who signed the certificate is between the API server and the webhook configuration; here it is about dates.
	dialer := &net.Dialer{Timeout: time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", s.dialAddress(), &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{*own}, //nolint:gosec // see above
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing was said on it
	s.lastHandshake.certificate, s.lastHandshake.at = conn.ConnectionState().PeerCertificates[0], time.Now()
	return s.lastHandshake.certificate, nil
}

// dialAddress is the address of the listener as seen from the same machine.
func (s *Server) dialAddress() string {
	addr := s.listener.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", addr.Port)
	}
	return addr.String()
}
