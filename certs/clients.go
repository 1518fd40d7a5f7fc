package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
)

// Clients recognizes API servers by their client certificates. The webhook also accepts its other replicas, which package
// server recognizes.
type Clients struct {
	file  string
	names []string

	lock  sync.Mutex
	seen  fs.FileInfo
	roots *x509.CertPool
}

// ClientsOf returns Clients that accept certificates signed by one of the certificate authorities in a PEM file. If names
// are given, one of them must be the certificate's common name or one of its DNS names.
func ClientsOf(file string, names []string) (*Clients, error) {
	if slices.Contains(names, "") {
		return nil, errors.New("the name of a client is empty")
	}
	c := &Clients{file: file, names: names}
	if _, err := c.authorities(); err != nil {
		return nil, err
	}
	return c, nil
}

// authorities returns the certificate authorities in the file, and reads the file again if it has changed. It returns an
// error if the file is unreadable or has no certificate; then no client is accepted.
func (c *Clients) authorities() (*x509.CertPool, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	now, err := os.Stat(c.file)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of clients: %w", err)
	}
	if c.seen != nil && os.SameFile(c.seen, now) && c.seen.ModTime().Equal(now.ModTime()) && c.seen.Size() == now.Size() {
		return c.roots, nil
	}
	data, err := os.ReadFile(c.file)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of clients: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bytes.TrimSpace(data)) {
		return nil, fmt.Errorf("there is no certificate in the file %s with the authorities of clients", c.file)
	}
	c.seen, c.roots = now, roots
	return roots, nil
}

// Verify returns an error unless the peer presents an accepted client certificate. The TLS server must call it at every
// handshake, also when a session is resumed, so that it rejects a client that is no longer trusted.
func (c *Clients) Verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the client presents no certificate")
	}
	roots, err := c.authorities()
	if err != nil {
		return err
	}
	intermediates := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	leaf := state.PeerCertificates[0]
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("the client's certificate is not one of an API server: %w", err)
	}
	if names := append([]string{leaf.Subject.CommonName}, leaf.DNSNames...); len(c.names) > 0 && !c.accepts(names) {
		return fmt.Errorf("the client's certificate is for %q, but only %s is accepted", names, strings.Join(c.names, ", "))
	}
	return nil
}

func (c *Clients) accepts(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(c.names, name) })
}
