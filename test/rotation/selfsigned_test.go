package rotation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
)

// authorityName is the name of the Secret in which rotate-certificates keeps its CA.
const authorityName = "jupyter-user-webhook-self-signed"

// rotateAccount returns a client with the rights that the chart gives to the ServiceAccount of rotate-certificates, and a
// function that runs rotate-certificates as this ServiceAccount.
func (w *cluster) rotateAccount(t *testing.T) (kubernetes.Interface, func(every, overlap string) (*journal.Journal, func())) {
	t.Helper()
	account, err := w.User("system:serviceaccount:"+namespace+":"+authorityName, "system:serviceaccounts", "system:authenticated")
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(account.Config)
	require.NoError(t, err)
	path, err := program()
	require.NoError(t, err)
	return client, func(every, overlap string) (*journal.Journal, func()) {
		// The old CA stays trusted for the overlap. The overlap must be longer than the time for which a replica still serves the
		// old certificate: the slower kubelet's delay, plus the interval of 1 s at which the webhook reads its files.
		return run(t, path, "rotate-certificates", "--kubeconfig="+account.Kubeconfig, "--namespace="+namespace, "--every="+every, "--overlap="+overlap)
	}
}

// awaitSettled waits until every replica serves the Secret's certificate, every caBundle trusts this certificate, and
// acceptsCount returns true for the number of CAs in every caBundle.
func (w *cluster) awaitSettled(t *testing.T, acceptsCount func(int) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return w.served(t) && w.trusts(t, acceptsCount) }, patience, pollEvery, "all agree again")
}

func TestSelfSignedRotation(t *testing.T) {
	t.Parallel()
	w := newCluster(t, "", "certificates.source=selfSigned")
	w.startReplicas(t)
	for _, r := range w.service.replicas {
		require.Eventually(t, func() bool { return len(r.log.Lines(t, "waiting for the serving certificate")) > 0 }, patience, pollEvery)
		assert.False(t, r.ready.Load(), "the replica has no certificate yet")
	}
	account, start := w.rotateAccount(t)
	began := time.Now()
	log, kill := start("250ms", "8s")
	w.awaitSettled(t, exactlyOne)
	t.Logf("from nothing to a certificate in both replicas: %.1f s", time.Since(began).Seconds())
	require.Eventually(t, func() bool { _, err := w.admit(); return err == nil }, patience, pollEvery)

	l := w.startLoad(t)
	during := func(what string, work func(t *testing.T)) { t.Helper(); l.runUnderLoad(t, w.service, what, work) }
	during("the certificate is renewed", func(t *testing.T) {
		before, authority := w.secret(t, mountedName), w.bundles(t)
		own := w.secret(t, authorityName)
		delete(own.Data, "tls.crt")
		_, err := w.client.CoreV1().Secrets(namespace).Update(t.Context(), own, metav1.UpdateOptions{})
		require.NoError(t, err)
		w.awaitReplaced(t, before, exactlyOne)
		assert.Equal(t, authority, w.bundles(t), "the CA is the same")
	})
	rotate := func(t *testing.T, remove ...string) {
		before, authority := w.secret(t, mountedName), w.bundles(t)
		for _, name := range remove {
			w.remove(t, name)
		}
		require.Eventually(t, func() bool { return w.changed(t, authority) }, patience, pollEvery)
		w.awaitReplaced(t, before, exactlyOne)
		for i, bundle := range w.bundles(t) {
			assert.NotContains(t, bundle, authority[i], "the old CA is not trusted any more")
		}
	}
	during("the authority is rotated", func(t *testing.T) { rotate(t, authorityName) })
	during("the Secret of the webhook is deleted", func(t *testing.T) {
		before := w.secret(t, mountedName)
		w.remove(t, mountedName)
		require.Eventually(t, func() bool { return w.secret(t, mountedName).UID != before.UID && w.served(t) }, patience, pollEvery)
	})
	during("both Secrets are deleted", func(t *testing.T) { rotate(t, authorityName, mountedName) })
	during("killed in the middle of a rotation", func(t *testing.T) {
		kill()
		before, authority := w.secret(t, mountedName), w.bundles(t)
		w.remove(t, authorityName)
		// On a busy machine, the kill below comes late. With --every=1h the program does not write the certificate before the kill.
		_, kill = start("1h", "1h")
		require.Eventually(t, func() bool { return w.changed(t, authority) }, patience, pollEvery)
		kill()
		assert.Equal(t, before.Data, w.secret(t, mountedName).Data, "the new certificate is not served before its CA is trusted")
		log, _ = start("250ms", "8s")
		w.awaitReplaced(t, before, exactlyOne)
	})
	t.Run("forbidden requests", func(t *testing.T) { testRights(t, account) })
	assert.NotContains(t, log.String(), `"level":"ERROR"`)
}

// changed reports whether the caBundle of the first webhook differs from before[0].
func (w *cluster) changed(t *testing.T, before []string) bool {
	t.Helper()
	now := w.bundles(t)
	return len(now) == len(before) && now[0] != before[0]
}

// awaitReplaced waits until the Secret has another certificate than before, and then calls awaitSettled.
func (w *cluster) awaitReplaced(t *testing.T, before *corev1.Secret, acceptsCount func(int) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		now := w.secret(t, mountedName)
		return len(now.Data["tls.crt"]) > 0 && string(now.Data["tls.crt"]) != string(before.Data["tls.crt"])
	}, patience, pollEvery, "another certificate")
	w.awaitSettled(t, acceptsCount)
}

// testRights reads the Secret with the certificate, which is allowed. Then it sends requests that an attacker with the
// rights of rotate-certificates could try. The API server must forbid them.
func testRights(t *testing.T, account kubernetes.Interface) {
	ctx := t.Context()
	secrets := account.CoreV1().Secrets(namespace)
	_, err := secrets.Get(ctx, mountedName, metav1.GetOptions{})
	require.NoError(t, err)
	for what, err := range map[string]error{
		"reads another Secret": errorOf(secrets.Get(ctx, "other", metav1.GetOptions{})),
		"lists Secrets":        errorOf(secrets.List(ctx, metav1.ListOptions{})),
		"makes a Secret of another name": errorOf(secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "other"}},
			metav1.CreateOptions{})),
		"deletes its own":                     secrets.Delete(ctx, authorityName, metav1.DeleteOptions{}),
		"reads a Secret of another namespace": errorOf(account.CoreV1().Secrets("lab").Get(ctx, mountedName, metav1.GetOptions{})),
		"reads another MutatingWebhookConfiguration": errorOf(account.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, "other",
			metav1.GetOptions{})),
		"deletes our ValidatingWebhookConfiguration": account.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, "jupyter-user-webhook",
			metav1.DeleteOptions{}),
		"creates Pods": errorOf(account.CoreV1().Pods("lab").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x"}},
			metav1.CreateOptions{})),
	} {
		assert.True(t, apierrors.IsForbidden(err), "%s: %v", what, err)
	}
}

func errorOf[T any](_ T, err error) error { return err }

// TestFirstCertificate tests that rotate-certificates writes the first certificate immediately. It writes a later
// certificate only after API servers have had time (--every) to trust its CA. Before the first certificate no CA is
// trusted, so no admission can be lost. A kubelet that does not find the Secret waits longer after each attempt, so the
// Secret must come early.
func TestFirstCertificate(t *testing.T) {
	t.Parallel()
	w := newCluster(t, "", "certificates.source=selfSigned")
	path, err := program()
	require.NoError(t, err)
	run(t, path, "rotate-certificates", "--kubeconfig="+w.Admin.Kubeconfig, "--namespace="+namespace, "--every=1h", "--overlap=1h")
	require.Eventually(t, func() bool {
		_, err := w.client.CoreV1().Secrets(namespace).Get(t.Context(), mountedName, metav1.GetOptions{})
		return err == nil
	}, patience, pollEvery)
	assert.True(t, w.trusts(t, exactlyOne))
}
