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

// Files is a certificate in a directory with the files of a mounted Secret of type kubernetes.io/tls: tls.crt and tls.key.
// While Watch runs, changed files are read again within seconds. If certificate and key do not match, the previous pair
// stays in use. Until a first pair is read, GetCertificate returns an error.
type Files struct {
	dir string
	log *slog.Logger
	// watcher is nil until the first pair is read.
	watcher atomic.Pointer[certwatcher.CertWatcher]
}

const (
	// pollEvery is the time between two checks for the first pair, which the kubelet mounts up to a minute after the Secret was
	// created.
	pollEvery = 250 * time.Millisecond
	// rereadEvery is the interval at which the files are read even without an inotify event, because events can be missing
	// after a Secret was deleted and created again.
	rereadEvery = time.Second
	// logInterval is the time between two log lines about the missing first pair.
	logInterval = 30 * time.Second
)

// sourcesHint is the advice in the log if the webhook has no certificate. It names all three sources, because the webhook
// cannot ask the API server which one is used.
const sourcesHint = "the Secret " + secretName + " of the webhook's namespace is mounted here at most a minute after it is " +
	"made. By cert-manager: kubectl -n jupyter-user-system describe certificate,issuer. By rotate-certificates: kubectl -n " +
	"jupyter-user-system logs deployment/" + selfSignedName + ". By hand: kubectl -n jupyter-user-system create secret tls " +
	secretName + " --cert=tls.crt --key=tls.key"

// FromDirectory returns the Files of a directory. If the pair exists, it is read; otherwise Watch waits for it.
func FromDirectory(dir string, log *slog.Logger) *Files {
	f := &Files{dir: dir, log: log}
	_ = f.read() // Watch reads again, and logs the error.
	return f
}

// read reads the first pair. From then on the watcher reads the changes.
func (f *Files) read() error {
	w, err := certwatcher.New(filepath.Join(f.dir, "tls.crt"), filepath.Join(f.dir, "tls.key"))
	if err != nil {
		return fmt.Errorf("read the serving certificate (tls.crt and tls.key in %s): %w", f.dir, err)
	}
	f.watcher.Store(w.WithWatchInterval(rereadEvery))
	return nil
}

// Watch waits for the files, and reads their changes until the context ends.
func (f *Files) Watch(ctx context.Context) error {
	if !f.wait(ctx) {
		return nil
	}
	if err := f.watcher.Load().Start(ctx); err != nil {
		return fmt.Errorf("watch the serving certificate: %w", err)
	}
	return nil
}

// wait waits for the first pair, and logs from time to time that it is missing. It reports whether there is a pair.
func (f *Files) wait(ctx context.Context) bool {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for lastLog := (time.Time{}); f.watcher.Load() == nil; {
		err := f.read()
		if err == nil {
			f.log.Info("the serving certificate is there", "directory", f.dir)
			break
		}
		if time.Since(lastLog) > logInterval {
			lastLog = time.Now()
			f.log.Warn("waiting for the serving certificate", "problem", err.Error(), "look", sourcesHint)
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

// errNoCertificate is the error of handshakes and of the readiness probe while there is no certificate.
var errNoCertificate = errors.New("waiting for the serving certificate: the log says what to look at")

// GetCertificate returns the current pair, for a tls.Config.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	w := f.watcher.Load()
	if w == nil {
		return nil, errNoCertificate
	}
	return w.GetCertificate(hello)
}
