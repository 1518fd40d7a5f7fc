package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Files is a certificate in a directory, as a Secret of type kubernetes.io/tls is mounted: tls.crt and tls.key. It is
// read again when the files change, within seconds; a pair that does not fit leaves the one before in use. Until there is a
// first one there is no certificate.
type Files struct {
	dir string
	log *slog.Logger
	// watcher is there as soon as a pair is.
	watcher atomic.Pointer[certwatcher.CertWatcher]
}

const (
	// lookEvery is how often it is looked whether the first pair is there. A kubelet takes up to a minute to mount it.
	lookEvery = 250 * time.Millisecond
	// rereadEvery is how often the files are read where no notification comes, as after a Secret was deleted and made again.
	rereadEvery = time.Second
	// tellEvery is how often it is said that it is not.
	tellEvery = 30 * time.Second
)

// whereFrom says to whoever reads the log of a webhook without a certificate what to look at. Which of the three it is, only
// they know: the webhook may ask the API server nothing, not even for its own namespace.
const whereFrom = "the Secret " + SecretName + " of the webhook's namespace is mounted here, a minute after it is made at " +
	"most. By cert-manager: kubectl -n jupyter-user-system describe certificate,issuer. By rotate-certificates: kubectl -n " +
	"jupyter-user-system logs deployment/" + SelfSignedName + ". By hand: kubectl -n jupyter-user-system create secret tls " +
	SecretName + " --cert=tls.crt --key=tls.key"

// FromDirectory reads the pair, if it is there already. Watch goes on where it is not.
func FromDirectory(dir string, log *slog.Logger) *Files {
	f := &Files{dir: dir, log: log}
	_ = f.read() // GetCertificate and Watch say why not.
	return f
}

// read reads the first pair.
func (f *Files) read() error {
	w, err := certwatcher.New(filepath.Join(f.dir, "tls.crt"), filepath.Join(f.dir, "tls.key"))
	if err != nil {
		return fmt.Errorf("read the serving certificate (tls.crt and tls.key in %s): %w", f.dir, err)
	}
	f.watcher.Store(w.WithWatchInterval(rereadEvery))
	return nil
}

// Watch waits for the files, and follows them until the context ends.
func (f *Files) Watch(ctx context.Context) error {
	if !f.wait(ctx) {
		return nil
	}
	if err := f.watcher.Load().Start(ctx); err != nil {
		return fmt.Errorf("watch the serving certificate: %w", err)
	}
	return nil
}

// wait for the first pair, and say so now and then. It answers whether there is one.
func (f *Files) wait(ctx context.Context) bool {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for told := (time.Time{}); f.watcher.Load() == nil; {
		err := f.read()
		if err == nil {
			f.log.Info("the serving certificate is there", "directory", f.dir)
			break
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			f.log.Warn("waiting for the serving certificate", "problem", err.Error(), "look", whereFrom)
		}
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
	}
	return true
}

// errNoCertificate is what a handshake and the readiness probe get before there is a certificate.
var errNoCertificate = errors.New("waiting for the serving certificate: the log says what to look at")

// GetCertificate answers the current pair, for a tls.Config.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	w := f.watcher.Load()
	if w == nil {
		return nil, errNoCertificate
	}
	return w.GetCertificate(hello)
}
