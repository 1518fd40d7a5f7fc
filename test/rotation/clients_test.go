package rotation

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// TestClientCertificates tests webhooks that require a client certificate. The real API server presents the client
// certificate of its admission configuration. The test runs webhooks that accept this certificate, that accept only another
// name, and that accept only another CA.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	authority := pki.Make(t, time.Hour)
	w := newCluster(t, "", "certificates.source=secret", "certificates.caBundle="+string(authority.Cert))
	serving, err := authority.Issue(time.Hour, serviceDNS)
	require.NoError(t, err)
	_, err = w.client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: mountedName}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": serving.Cert, "tls.key": serving.Key},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	accepts := func(t *testing.T, clientCA pki.Pair, names ...string) {
		file := filepath.Join(t.TempDir(), "ca.crt")
		require.NoError(t, os.WriteFile(file, clientCA.Cert, 0o600))
		w.startReplicas(t, "--client-ca-file="+file, "--client-name="+strings.Join(names, ","))
		require.Eventually(t, func() bool { return w.service.allReady() }, patience, pollEvery, "each replica is ready: its readiness probe needs no client certificate")
	}
	denied := func(t *testing.T, why string) {
		before := w.service.opened.Load()
		_, err := w.admit()
		assert.ErrorContains(t, err, `failed calling webhook "pods.jupyter-user.io"`)
		assert.Greater(t, w.service.opened.Load(), before, "the API server called the webhook")
		for _, r := range w.service.replicas {
			assert.Empty(t, r.log.Lines(t, "admission"), "the webhook served no review")
		}
		assert.Eventually(t, func() bool {
			return slices.ContainsFunc(w.service.replicas, func(r *replica) bool { return strings.Contains(r.log.String(), why) })
		}, patience, pollEvery, "the log says why")
	}
	t.Run("an accepted certificate", func(t *testing.T) {
		accepts(t, w.authority, "other", "kube-apiserver")
		_, err := w.admit()
		require.NoError(t, err)
		tryOtherCertificates(t, w, authority)
	})
	t.Run("another accepted name", func(t *testing.T) {
		accepts(t, w.authority, "other")
		denied(t, `the client's certificate is for [\"kube-apiserver\" \"kube-apiserver\"], but only other is accepted`)
	})
	t.Run("another accepted authority", func(t *testing.T) {
		accepts(t, pki.Make(t, time.Hour), "kube-apiserver")
		denied(t, "the client's certificate is not one of an API server: x509: certificate signed by unknown authority")
	})
}

// tryOtherCertificates sends requests without a client certificate, and with certificates that the webhook must not accept.
// Every request must fail.
func tryOtherCertificates(t *testing.T, w *cluster, trusted pki.Pair) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted.Cert)
	otherAuthority := pki.Make(t, time.Hour)
	named, err := otherAuthority.Issue(time.Hour, "kube-apiserver")
	require.NoError(t, err)
	otherName, err := w.authority.Issue(time.Hour, "kubelet")
	require.NoError(t, err)
	for what, certificates := range map[string][]tls.Certificate{
		"no certificate": nil, "the name, by another authority": {*named.TLS(t)}, "another name": {*otherName.TLS(t)},
	} {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serviceDNS, Certificates: certificates},
		}}
		for _, path := range []string{"/mutate", "/verify", "/"} {
			_, err := client.Post("https://"+w.service.replicas[0].reviews+path, "application/json", strings.NewReader("{}"))
			assert.Error(t, err, "%s to %s", what, path)
		}
	}
}
