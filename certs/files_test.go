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

func TestWithoutAPairItSaysWhatItWaitsForAndGoesOn(t *testing.T) {
	good := pki.Make(t, time.Hour)
	for name, c := range map[string]struct {
		prepare func(dir string)
		says    string
	}{
		"an empty directory": {func(string) {}, "tls.crt"},
		"no key":             {func(dir string) { write(t, dir, "tls.crt", good.Cert) }, "tls.key"},
		"no PEM": {func(dir string) {
			write(t, dir, "tls.crt", []byte("MARK"))
			write(t, dir, "tls.key", []byte("MARK"))
		}, "failed to find any PEM data"},
		"a key of another certificate": {func(dir string) {
			good.Write(t, dir)
			write(t, dir, "tls.key", pki.Make(t, time.Hour).Key)
		}, "private key does not match public key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.prepare(dir)
			log := &journal.Journal{}
			files := certs.FromDirectory(dir, slog.New(slog.NewJSONHandler(log, nil)))
			watching(t, files)
			require.Eventually(t, func() bool { return len(log.Lines(t, "waiting for the serving certificate")) > 0 }, machine.Patience,
				5*time.Millisecond)
			said := log.Lines(t, "waiting for the serving certificate")[0]
			assert.Contains(t, said["problem"], c.says)
			assert.Contains(t, said["problem"], dir, "the directory that was read")
			assert.Contains(t, said["look"], "the Secret jupyter-user-webhook-certs of the webhook's namespace")
			assert.Contains(t, said["look"], "kubectl -n jupyter-user-system describe certificate,issuer")
			assert.NotContains(t, log.String(), "MARK", "a key is not repeated")
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

// TestANewPairIsServed changes the files in every way that occurs, and checks handshakes.
func TestANewPairIsServed(t *testing.T) {
	dir := t.TempDir()
	first := pki.Make(t, time.Hour)
	first.Write(t, dir)
	address := serve(t, dir)
	assertShown(t, address, first)

	second := pki.Make(t, time.Hour)
	second.Write(t, dir)
	assertShown(t, address, second)

	// One file is written after the other. In between they do not match, and the previous pair stays in use.
	third := pki.Make(t, time.Hour)
	write(t, dir, "tls.crt", third.Cert)
	assertStays(t, address, second)
	write(t, dir, "tls.key", third.Key)
	assertShown(t, address, third)

	write(t, dir, "tls.key", []byte("no key at all"))
	assertStays(t, address, third)
	require.NoError(t, os.Remove(filepath.Join(dir, "tls.crt")))
	assertStays(t, address, third)

	fourth := pki.Make(t, time.Hour)
	fourth.Write(t, dir)
	assertShown(t, address, fourth)
}

// TestASecretIsServed changes the files as the kubelet does: tls.crt and tls.key are links through ..data, a link that is
// replaced atomically by one to the next directory.
func TestASecretIsServed(t *testing.T) {
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
	assertShown(t, address, first)

	mount("..2", second)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "..1")))
	assertShown(t, address, second)
	mount("..3", third)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "..2")))
	assertShown(t, address, third)
}

func TestWatchEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	pki.Make(t, time.Hour).Write(t, dir)
	for what, dir := range map[string]string{"a certificate": dir, "none": t.TempDir()} {
		files := certs.FromDirectory(dir, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- files.Watch(ctx) }()
		cancel()
		select {
		case err := <-ended:
			assert.NoError(t, err, "being asked to stop is no fault, with %s", what)
		case <-time.After(machine.Patience):
			t.Fatal("still watching")
		}
	}
}

// watching runs Watch until the test ends.
func watching(t *testing.T, files *certs.Files) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan error, 1)
	go func() { watched <- files.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-watched)
	})
}

// serve presents the certificate to every client.
func serve(t *testing.T, dir string) (address string) {
	t.Helper()
	files := certs.FromDirectory(dir, slog.New(slog.DiscardHandler))
	watching(t, files)
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

func shown(address string, pair pki.Pair) bool {
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pair.Roots()})
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func assertShown(t *testing.T, address string, pair pki.Pair) {
	t.Helper()
	// Without a notification the files are read at rereadEvery.
	require.Eventually(t, func() bool { return shown(address, pair) }, machine.Patience, 10*time.Millisecond)
}

// assertStays checks for a while that the pair does not change, much longer than a notification takes.
func assertStays(t *testing.T, address string, pair pki.Pair) {
	t.Helper()
	require.Never(t, func() bool { return !shown(address, pair) }, 300*time.Millisecond, 20*time.Millisecond)
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
}
