package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/deploy"
)

// checkByService tests the check command with webhooks that the API server calls by their Service, as shipped: with the
// right CA, without a CA, with another CA, and with a certificate that expires soon. No server runs behind the Service, so
// the dry run of the command fails.
func checkByService(t *testing.T, l *checkedCluster) {
	l.manifest = manifestOf(t, string(deploy.Install()))
	l.assertFinding(t, "webhooks", check.Failed, `webhooks[pods.jupyter-user.io].clientConfig.url was added: "https://0.0.0.0:`)
	l.installWebhooks(t, l.ca)
	findings := l.findings(t)
	assertFound(t, findings, "webhooks", check.OK, "as in the manifest given with -f: 1 MutatingWebhookConfiguration")
	assertFound(t, findings, "certificate", check.OK, "is for jupyter-user-webhook.jupyter-user-system.svc until")
	l.installWebhooks(t, nil)
	findings = l.findings(t)
	assertFound(t, findings, "webhooks", check.OK, "as in the manifest given with -f: 1 MutatingWebhookConfiguration")
	assertFound(t, findings, "certificate", check.Failed, "have an empty caBundle")
	other, soon, key := issueCertificate(t, "jupyter-user-webhook.jupyter-user-system.svc", 6*24*time.Hour)
	changeUntilEnd(t, l, "jupyter-user-system", "jupyter-user-webhook-certs", &corev1.Secret{}, func(s *corev1.Secret) {
		s.Data = map[string][]byte{"tls.crt": soon, "tls.key": key}
	})
	l.installWebhooks(t, l.ca)
	l.assertFinding(t, "certificate", check.Failed, "do not trust the certificate")
	l.installWebhooks(t, other)
	l.assertFinding(t, "certificate", check.Warning, "expires on ")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		found, err := check.Run(t.Context(), l.look, check.Options{User: "alice", Manifest: l.manifest})
		require.NoError(c, err)
		for _, f := range found {
			if f.Check == "dry-run" {
				assert.Equal(c, check.Failed, f.Status)
				assert.Contains(c, f.Message, "the webhook does not respond")
			}
		}
	}, wait, wait/100)
}

// installWebhooks installs the shipped MutatingWebhookConfiguration and ValidatingWebhookConfiguration, with a CA bundle.
func (l *checkedCluster) installWebhooks(t *testing.T, ca []byte) {
	t.Helper()
	require.NoError(t, l.Admin.Do(t.Context(), shipped(t, "50-mutatingwebhookconfiguration.yaml"), "replace", "-f", "-"))
	require.NoError(t, l.Admin.Do(t.Context(), shipped(t, "51-validatingwebhookconfiguration.yaml"), "replace", "-f", "-"))
	var mutating admissionv1.MutatingWebhookConfigurationList
	require.NoError(t, l.List(t.Context(), &mutating))
	for _, c := range mutating.Items {
		for i := range c.Webhooks {
			if c.Name == "00-jupyter-user-webhook" {
				c.Webhooks[i].ClientConfig.CABundle = ca
			}
		}
		require.NoError(t, l.Update(t.Context(), &c))
	}
	var validating admissionv1.ValidatingWebhookConfigurationList
	require.NoError(t, l.List(t.Context(), &validating))
	for _, c := range validating.Items {
		for i := range c.Webhooks {
			if c.Name == "jupyter-user-webhook" {
				c.Webhooks[i].ClientConfig.CABundle = ca
			}
		}
		require.NoError(t, l.Update(t.Context(), &c))
	}
}
