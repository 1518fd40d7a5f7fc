package rotation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// pollEvery is the time between two checks of a condition.
const pollEvery = 50 * time.Millisecond

// replica is a process of the webhook. The files of its certificate follow the Secret with a delay.
type replica struct {
	log           *journal.Journal
	reviews, http string
	mount         string
	ready         atomic.Bool
}

// kubeletDelays are the delays of two nodes' kubelets between a change of the Secret and the change of the files. A real
// kubelet can take more than a minute.
var kubeletDelays = []time.Duration{100 * time.Millisecond, 1500 * time.Millisecond}

// startReplicas starts two replicas. They are not ready while there is no Secret.
func (w *cluster) startReplicas(t *testing.T, more ...string) {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	var started []*replica
	for _, delay := range kubeletDelays {
		r := &replica{mount: t.TempDir()}
		arguments := append([]string{"serve", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--drain=0s", "--cert-dir=" + r.mount}, more...)
		var writing sync.WaitGroup
		writing.Go(func() { w.writeSecretFiles(t, t.Context(), r.mount, delay) })
		// This cleanup runs after the context of t has ended. It runs before the cleanup that removes the folder, because
		// cleanups run in the reverse order of their registration.
		t.Cleanup(writing.Wait)
		r.log, _ = run(t, path, arguments...)
		require.Eventually(t, func() bool { return len(r.log.Lines(t, "serving")) > 0 }, machine.Patience, pollEvery, r.log.String())
		fields := r.log.Lines(t, "serving")[0]
		r.reviews, r.http = fields["reviews"].(string), fields["http"].(string)
		go r.probe(t.Context())
		started = append(started, r)
	}
	w.service.setReplicas(started...)
}

// probe polls the replica's readiness endpoint until ctx ends. The field "ready" has the last result.
func (r *replica) probe(ctx context.Context) {
	client := &http.Client{Timeout: machine.Patience}
	_ = wait.PollUntilContextCancel(ctx, pollEvery, true, func(context.Context) (bool, error) {
		response, err := client.Get("http://" + r.http + "/readyz")
		if err == nil {
			_ = response.Body.Close()
		}
		r.ready.Store(err == nil && response.StatusCode == http.StatusOK)
		return false, nil
	})
	client.CloseIdleConnections()
}

// servedCertificate returns the certificate that the replica serves, or nil if it serves none.
func (r *replica) servedCertificate() *x509.Certificate {
	conn, err := tls.Dial("tcp", r.reviews, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer conn.Close() //nolint:errcheck // nothing is sent on it
	return conn.ConnectionState().PeerCertificates[0]
}

// writeSecretFiles writes the Secret's files into a directory, like a kubelet with an optional Secret volume. It follows
// each change of the Secret with a delay. Without the Secret, the directory has none of these files.
func (w *cluster) writeSecretFiles(t *testing.T, ctx context.Context, dir string, delay time.Duration) {
	mounted, wanted, since, generation := map[string][]byte{}, map[string][]byte{}, time.Now(), 0
	_ = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		data := map[string][]byte{}
		if secret, err := w.client.CoreV1().Secrets(namespace).Get(ctx, mountedName, metav1.GetOptions{}); err == nil {
			data = secret.Data
		}
		same := func(a, b map[string][]byte) bool {
			return maps.EqualFunc(a, b, func(x, y []byte) bool { return string(x) == string(y) })
		}
		if !same(data, wanted) {
			wanted, since = data, time.Now()
		}
		if same(wanted, mounted) || time.Since(since) < delay {
			return false, nil
		}
		generation++
		assert.NoError(t, mountSecret(dir, fmt.Sprintf("..%d", generation), wanted))
		mounted = wanted
		return false, nil
	})
}

// mountSecret replaces the files like the kubelet's atomic writer: it writes the new files into a new directory, and then
// replaces the symbolic link ..data by a link to the new directory.
func mountSecret(dir, version string, data map[string][]byte) error {
	if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
		return err
	}
	for name, content := range data {
		if err := os.WriteFile(filepath.Join(dir, version, name), content, 0o600); err != nil {
			return err
		}
	}
	before, _ := os.Readlink(filepath.Join(dir, "..data"))
	if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		return err
	}
	for name := range data {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if _, is := data[entry.Name()]; !is && !strings.HasPrefix(entry.Name(), "..") {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
	if before != "" {
		return os.RemoveAll(filepath.Join(dir, before))
	}
	return nil
}
