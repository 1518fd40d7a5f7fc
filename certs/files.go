// Package certs says where the serving certificate comes from.
package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Files is a certificate in a directory, as a Secret of type kubernetes.io/tls is mounted: tls.crt and tls.key. It is
// read anew when the files change, within seconds; a pair that does not fit leaves the one before in use.
type Files struct{ watcher *certwatcher.CertWatcher }

// FromDirectory reads the pair for the first time.
func FromDirectory(dir string) (*Files, error) {
	w, err := certwatcher.New(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("read the serving certificate (tls.crt and tls.key in %s): %w", dir, err)
	}
	return &Files{w}, nil
}

// Watch follows the files until the context ends.
func (f *Files) Watch(ctx context.Context) error {
	if err := f.watcher.Start(ctx); err != nil {
		return fmt.Errorf("watch the serving certificate: %w", err)
	}
	return nil
}

// GetCertificate answers the current pair, for a tls.Config.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.watcher.GetCertificate(hello)
}
