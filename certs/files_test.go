package certs_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/certs"
	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

func TestWatchWaitsForPair(t *testing.T) {
	good := pki.Make(t, time.Hour)
	for name, c := range map[string]struct {
		prepare func(dir string)
		problem string
	}{
		"empty directory": {func(string) {}, "tls.crt"},
		"no key":          {func(dir string) { write(t, dir, "tls.crt", good.Cert) }, "tls.key"},
		"no PEM": {func(dir string) {
			write(t, dir, "tls.crt", []byte("MARK"))
			write(t, dir, "tls.key", []byte("MARK"))
		}, "failed to find any PEM data"},
		"key of another certificate": {func(dir string) {
			good.Write(t, dir)
			write(t, dir, "tls.key", pki.Make(t, time.Hour).Key)
		}, "private key does not match public key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.prepare(dir)
			log := &journal.Journal{}
			files := certs.FromDirectory(dir, slog.New(slog.NewJSONHandler(log, nil)))
			startWatch(t, files)
			require.Eventually(t, func() bool { return len(log.Lines(t, "waiting for the serving certificate")) > 0 }, machine.Patience,
				5*time.Millisecond)
			line := log.Lines(t, "waiting for the serving certificate")[0]
			assert.Contains(t, line["problem"], c.problem)
			assert.Contains(t, line["problem"], dir, "the directory that was read")
			assert.Contains(t, line["look"], "the Secret jupyter-user-webhook-certs of the webhook's namespace")
			assert.Contains(t, line["look"], "kubectl -n jupyter-user-system describe certificate,issuer")
			assert.NotContains(t, log.String(), "MARK", "the log has no key")
			_, err := files.GetCertificate(&tls.ClientHelloInfo{})
			assert.ErrorContains(t, err, "waiting for the serving certificate")

			pki.Make(t, time.Hour).Write(t, dir)
			require.Eventually(t, func() bool {
				_, err := files.GetCertificate(&tls.ClientHelloInfo{})
				return err == nil
			}, machine.Patience, 5*time.Millisecond)
			assert.Len(t, log.Lines(t, "waiting for the serving certificate"), 1, "not at every check")
			require.Eventually(t, func() bool { return len(log.Lines(t, "the serving certificate is there")) == 1 }, machine.Patience,
				5*time.Millisecond)
		})
	}
}

func TestChangedPair(t *testing.T) {
	dir := t.TempDir()
	first := pki.Make(t, time.Hour)
	first.Write(t, dir)
	address := serve(t, dir)
	assertPresents(t, address, first)

	second := pki.Make(t, time.Hour)
	second.Write(t, dir)
	assertPresents(t, address, second)

	// After the first of these two writes, certificate and key do not match, and the previous pair stays in use.
	third := pki.Make(t, time.Hour)
	write(t, dir, "tls.crt", third.Cert)
	assertKeepsPair(t, address, second)
	write(t, dir, "tls.key", third.Key)
	assertPresents(t, address, third)

	write(t, dir, "tls.key", []byte("no key at all"))
	assertKeepsPair(t, address, third)
	require.NoError(t, os.Remove(filepath.Join(dir, "tls.crt")))
	assertKeepsPair(t, address, third)

	fourth := pki.Make(t, time.Hour)
	fourth.Write(t, dir)
	assertPresents(t, address, fourth)
}

// TestMountedSecret changes the files as the kubelet does: tls.crt and tls.key are links through ..data, which is atomically
// replaced by a link to the next directory.
func TestMountedSecret(t *testing.T) {
	dir := t.TempDir()
	mount := func(version string, pair pki.Pair) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		pair.Write(t, filepath.Join(dir, version))
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	first, second, third := pki.Make(t, time.Hour), pki.Make(t, time.Hour), pki.Make(t, time.Hour)
	mount("..1", first)
	for _, name := range []string{"tls.crt", "tls.key"} {
		require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	address := serve(t, dir)
	assertPresents(t, address, first)

	mount("..2", second)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "..1")))
	assertPresents(t, address, second)
	mount("..3", third)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "..2")))
	assertPresents(t, address, third)
}

func TestWatchEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	pki.Make(t, time.Hour).Write(t, dir)
	for name, dir := range map[string]string{"a certificate": dir, "no certificate": t.TempDir()} {
		files := certs.FromDirectory(dir, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- files.Watch(ctx) }()
		cancel()
		select {
		case err := <-ended:
			assert.NoError(t, err, name)
		case <-time.After(machine.Patience):
			t.Fatal("still watching")
		}
	}
}

// startWatch runs Watch until the test ends.
func startWatch(t *testing.T, files *certs.Files) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan error, 1)
	go func() { watched <- files.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-watched)
	})
}

// serve starts a server that presents the certificate of the directory, and returns its address.
func serve(t *testing.T, dir string) (address string) {
	t.Helper()
	files := certs.FromDirectory(dir, slog.New(slog.DiscardHandler))
	startWatch(t, files)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close() //nolint:errcheck // it was only for the handshake
				_ = tls.Server(conn, &tls.Config{GetCertificate: files.GetCertificate}).HandshakeContext(context.Background())
			}()
		}
	}()
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

func presents(address string, pair pki.Pair) bool {
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pair.Roots()})
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func assertPresents(t *testing.T, address string, pair pki.Pair) {
	t.Helper()
	require.Eventually(t, func() bool { return presents(address, pair) }, machine.Patience, 10*time.Millisecond)
}

// assertKeepsPair asserts that the server presents the same pair for the next 300 ms. An inotify event for the changed file
// arrives much sooner, so a server that takes the changed file fails the test.
func assertKeepsPair(t *testing.T, address string, pair pki.Pair) {
	t.Helper()
	require.Never(t, func() bool { return !presents(address, pair) }, 300*time.Millisecond, 20*time.Millisecond)
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
}
