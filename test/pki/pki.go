// Package pki makes certificates of CAs, servers and clients for tests.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Pair is a certificate and its private key, in PEM.
type Pair struct{ Cert, Key []byte }

// Make returns a self-signed pair for 127.0.0.1 and localhost. The pair is valid from an hour ago and for the given
// duration from now. With a negative duration, it has expired.
func Make(t testing.TB, lifetime time.Duration) Pair {
	t.Helper()
	pair, err := New(lifetime, "localhost")
	require.NoError(t, err)
	return pair
}

// New returns a self-signed pair for 127.0.0.1 and for the given host names and addresses. The pair is valid from an hour
// ago and for the given duration from now. A server or a client can use the pair, and its certificate is a CA. The common
// name is the first of the names.
func New(lifetime time.Duration, names ...string) (Pair, error) {
	return Between(time.Now().Add(-time.Hour), time.Now().Add(lifetime), names...)
}

// Between is like New, but the pair is valid from one time until another.
func Between(from, until time.Time, names ...string) (Pair, error) {
	template, err := template(from, until, names)
	if err != nil {
		return Pair{}, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	return sign(template, key, template, key)
}

// Issue returns a pair for a server or a client. The new certificate is signed with the key of p, and is no CA.
func (p Pair) Issue(lifetime time.Duration, names ...string) (Pair, error) {
	template, err := template(time.Now().Add(-time.Hour), time.Now().Add(lifetime), names)
	if err != nil {
		return Pair{}, err
	}
	return p.sign(template)
}

// IssueServer is like Issue, but a client cannot use the pair.
func (p Pair) IssueServer(lifetime time.Duration, names ...string) (Pair, error) {
	template, err := template(time.Now().Add(-time.Hour), time.Now().Add(lifetime), names)
	if err != nil {
		return Pair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return p.sign(template)
}

func (p Pair) sign(template *x509.Certificate) (Pair, error) {
	authority, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	return sign(template, key, authority.Leaf, authority.PrivateKey)
}

func template(from, until time.Time, names []string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	certificate := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    from,
		NotAfter:     until,
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			certificate.IPAddresses = append(certificate.IPAddresses, ip)
		} else {
			certificate.DNSNames = append(certificate.DNSNames, name)
		}
	}
	return certificate, nil
}

func sign(template *x509.Certificate, key *ecdsa.PrivateKey, authority *x509.Certificate, signer crypto.PrivateKey) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

// TLS returns the pair in the form that package crypto/tls needs.
func (p Pair) TLS(t testing.TB) *tls.Certificate {
	t.Helper()
	cert, err := tls.X509KeyPair(p.Cert, p.Key)
	require.NoError(t, err)
	return &cert
}

// Roots returns a pool that trusts the pair's certificate.
func (p Pair) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.Cert)
	return roots
}

// Write writes the pair into a directory, as tls.crt and tls.key, like a Secret of type kubernetes.io/tls.
func (p Pair) Write(t testing.TB, dir string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), p.Cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.key"), p.Key, 0o600))
}
