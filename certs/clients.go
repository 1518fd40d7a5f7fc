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

// Clients are those that may talk to the webhook: API servers, by the certificates that they present.
type Clients struct {
	file  string
	names []string

	lock  sync.Mutex
	seen  fs.FileInfo
	roots *x509.CertPool
}

// ClientsOf are those whose certificate an authority of the file has signed for a client. With names given, one of them has
// to be its common name or one of its DNS names.
func ClientsOf(file string, names []string) (*Clients, error) {
	if slices.Contains(names, "") {
		return nil, errors.New("the name of a client is empty, which none has")
	}
	c := &Clients{file: file, names: names}
	if _, err := c.authorities(); err != nil {
		return nil, err
	}
	return c, nil
}

// authorities are read again when the file has changed. A file that cannot be read lets nobody in.
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

// Verify says why who is at the other end of a connection is nobody who may talk to the webhook. It is asked at every
// handshake, of a resumed session too, so who is not trusted any more is not let in once more.
func (c *Clients) Verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the client presents no certificate")
	}
	roots, err := c.authorities()
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	leaf := state.PeerCertificates[0]
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("the client's certificate is not one of an API server: %w", err)
	}
	if names := append([]string{leaf.Subject.CommonName}, leaf.DNSNames...); len(c.names) > 0 && !c.named(names) {
		return fmt.Errorf("the client's certificate is for %q, and accepted are %s", names, strings.Join(c.names, ", "))
	}
	return nil
}

func (c *Clients) named(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(c.names, name) })
}
