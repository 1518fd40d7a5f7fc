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
// Server uses http.Server and not controller-runtime's server, which has no ReadTimeout, waits 32 s for headers, and
// stops without draining. Also, that server and the API server's client both close a connection that has been idle for 90 s,
// so a review that is sent at that moment can be lost.
type Server struct {
	listener net.Listener
	http     *http.Server
	tls      *tls.Config
	drain    time.Duration
	// drained is time.After, except in tests.
	drained func(time.Duration) <-chan time.Time
	log     *slog.Logger

	serving, draining atomic.Bool
	lastHandshake     handshake
}

// handshake is the server's last successful handshake with itself.
type handshake struct {
	sync.Mutex
	at          time.Time
	certificate *x509.Certificate
}

// Options are the settings of a Server: its certificate, the clients that it serves, and how long it drains.
type Options struct {
	// GetCertificate returns the current serving certificate.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// VerifyClient returns an error for a client that must not be served. If it is nil, every client is served. A client
	// that presents the serving certificate, such as another replica, is served without this check.
	VerifyClient func(tls.ConnectionState) error
	// Drain is the time that the server continues to serve after it was asked to stop. In this time API servers learn
	// that the server is no longer an endpoint; until then they continue to send reviews, also on open connections.
	Drain time.Duration
	Log   *slog.Logger
}

const (
	// maxConnections is the maximum number of open connections: many more than a few API servers keep (25 idle ones each).
	maxConnections  = 1024
	headerTimeout   = 10 * time.Second
	responseTimeout = 10 * time.Second
	// idleTimeout is longer than the API server's 90 s, so that the client closes first and no request is sent on a closed
	// connection.
	idleTimeout = 2 * time.Minute
	// bodyTimeout is the time limit for the arrival of a complete request. An API server on the same network sends it
	// within milliseconds.
	bodyTimeout = 10 * time.Second
	// shutdownTimeout is the time limit for running requests after the drain.
	shutdownTimeout = 10 * time.Second
	// handshakeLifetime is the time for which the last handshake shows that the server is reachable. A kubelet probes every two
	// seconds, so each of its probes makes a handshake.
	handshakeLifetime = time.Second
)

// New returns a server that owns the listener.
func New(listener net.Listener, handler http.Handler, o Options) *Server {
	s := &Server{listener: listener, drain: o.Drain, drained: time.After, log: o.Log}
	// The API server uses HTTP/1.1 for a Service. So HTTP/2 is off, and attacks on its streams are not possible.
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

// Run serves until the context ends. Then it drains, closes the listener and waits for the running requests.
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

// closeWhileDraining makes a draining server close each connection after its response, so that clients connect to another
// replica.
func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Ready returns an error if the server should get no reviews: if it does not serve or is about to stop, if a handshake with it
// fails, or if its certificate is not valid now.
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

// servedCertificate returns the certificate that the server presents in a handshake. One handshake is enough for all
// probes within handshakeLifetime, so that clients of the health port cannot cause many handshakes.
func (s *Server) servedCertificate(own *tls.Certificate) (*x509.Certificate, error) {
	s.lastHandshake.Lock()
	defer s.lastHandshake.Unlock()
	if last := s.lastHandshake.certificate; last != nil && bytes.Equal(last.Raw, own.Certificate[0]) &&
		time.Since(s.lastHandshake.at) < handshakeLifetime {
		return last, nil
	}
	// Ready checks only the dates of the certificate. API servers check who signed it.
	dialer := &net.Dialer{Timeout: time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", s.dialAddress(), &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{*own}, //nolint:gosec // see above
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing was written to it
	s.lastHandshake.certificate, s.lastHandshake.at = conn.ConnectionState().PeerCertificates[0], time.Now()
	return s.lastHandshake.certificate, nil
}

// dialAddress returns the address of the listener for a connection from the same machine.
func (s *Server) dialAddress() string {
	addr := s.listener.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", addr.Port)
	}
	return addr.String()
}
