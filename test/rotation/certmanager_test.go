package rotation

import (
	"encoding/pem"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/test/project"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// caName is the name of the CA's Certificate object and of its Secret.
const caName = "jupyter-user-webhook-ca"

// certManager is a cluster in which cert-manager runs, with a client for cert-manager's objects.
type certManager struct {
	*cluster
	api client.Client
}

func newCertManager(t *testing.T) *certManager {
	t.Helper()
	built, err := tools.Build(t.Context(), t.Output(), tools.CertManager)
	require.NoError(t, err)
	module, err := project.Module(t.Context(), ".", "github.com/cert-manager/cert-manager")
	require.NoError(t, err)
	c := &certManager{cluster: newCluster(t, filepath.Join(module, "deploy", "crds"), "certificates.source=certManager")}
	scheme := runtime.NewScheme()
	require.NoError(t, certmanagerv1.AddToScheme(scheme))
	c.api, err = client.New(c.Admin.Config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	c.startReplicas(t)
	for _, r := range c.service.replicas {
		require.Eventually(t, func() bool { return len(r.log.Lines(t, "waiting for the serving certificate")) > 0 }, patience, pollEvery)
	}
	assert.Contains(t, c.check(t), "failed: is missing, because the Issuer jupyter-user-webhook-selfsigned has no condition yet: see "+
		"that cert-manager runs")
	run(t, built[tools.CertManager], "-kubeconfig="+c.Admin.Kubeconfig)
	return c
}

// The method "check" returns the findings of `jupyter-user-webhook check` about the certificate, one per line.
func (c *certManager) check(t *testing.T) string {
	t.Helper()
	look, err := check.Connect(c.Admin.Kubeconfig, "")
	require.NoError(t, err)
	findings, err := check.Run(t.Context(), look, check.Options{Only: []string{"certificate"}})
	require.NoError(t, err)
	text := ""
	for _, f := range findings {
		if f.Check == "certificate" {
			text += string(f.Status) + ": " + f.Message + "\n"
		}
	}
	return text
}

// renew requests a new certificate, like cmctl renew.
func (c *certManager) renew(t *testing.T, name string) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		certificate := &certmanagerv1.Certificate{}
		require.NoError(collect, c.api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, certificate))
		conditions := slices.DeleteFunc(certificate.Status.Conditions, func(has certmanagerv1.CertificateCondition) bool {
			return has.Type == certmanagerv1.CertificateConditionIssuing
		})
		certificate.Status.Conditions = append(conditions, certmanagerv1.CertificateCondition{
			Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "ManuallyTriggered",
			Message: "Certificate re-issuance manually triggered", ObservedGeneration: certificate.Generation,
			LastTransitionTime: new(metav1.Now()),
		})
		require.NoError(collect, c.api.Status().Update(t.Context(), certificate))
	}, patience, pollEvery)
}

// awaitReissued waits until a Secret has another certificate than before, and returns the new certificate.
func (c *certManager) awaitReissued(t *testing.T, name string, before []byte) (now []byte) {
	t.Helper()
	require.Eventually(t, func() bool {
		now = c.secret(t, name).Data["tls.crt"]
		return len(now) > 0 && string(now) != string(before)
	}, patience, pollEvery)
	return now
}

func (c *certManager) key(t *testing.T, name string) string {
	t.Helper()
	block, _ := pem.Decode(c.secret(t, name).Data["tls.key"])
	require.NotNil(t, block)
	return string(block.Bytes)
}

func TestCertManagerRotation(t *testing.T) {
	t.Parallel()
	began := time.Now()
	c := newCertManager(t)
	issuing := time.Now()
	c.awaitSettled(t, exactlyOne)
	t.Logf("cert-manager started, and from nothing to a certificate in both replicas: %.1f s of %.1f s", time.Since(issuing).Seconds(),
		time.Since(began).Seconds())
	require.Eventually(t, func() bool { _, err := c.admit(); return err == nil }, patience, pollEvery)

	assert.Contains(t, c.check(t), "ok: is for jupyter-user-webhook.jupyter-user-system.svc until ")

	l := c.startLoad(t)
	during := func(what string, work func(t *testing.T)) { t.Helper(); l.runUnderLoad(t, c.service, what, work) }
	during("the certificate is renewed", func(t *testing.T) {
		before, key := c.secret(t, mountedName), c.key(t, mountedName)
		c.renew(t, "jupyter-user-webhook")
		c.awaitReplaced(t, before, atLeast(1))
		assert.NotEqual(t, key, c.key(t, mountedName), "with another key")
	})
	during("the authority is renewed, and then the certificate", func(t *testing.T) {
		before, authority, key := c.secret(t, mountedName), c.secret(t, caName).Data["tls.crt"], c.key(t, caName)
		c.renew(t, caName)
		c.awaitTrusted(t, c.awaitReissued(t, caName, authority))
		assert.Equal(t, key, c.key(t, caName), "with the same key")
		c.renew(t, "jupyter-user-webhook")
		c.awaitReplaced(t, before, atLeast(1))
	})
	during("the Secret of the webhook is deleted", func(t *testing.T) {
		before := c.secret(t, mountedName)
		c.remove(t, mountedName)
		c.awaitReplaced(t, before, atLeast(1))
	})
	during("the Secret of the authority is deleted", func(t *testing.T) {
		before, key := c.secret(t, caName), c.key(t, caName)
		c.remove(t, caName)
		c.awaitTrusted(t, c.awaitReissued(t, caName, before.Data["tls.crt"]))
		assert.NotEqual(t, key, c.key(t, caName), "with another key, since the old one is gone")
		c.awaitSettled(t, atLeast(2))
	})
	during("the new authority issues the certificate", func(t *testing.T) {
		before := c.secret(t, mountedName)
		c.remove(t, mountedName)
		c.awaitReplaced(t, before, atLeast(1))
		assert.Equal(t, c.secret(t, caName).Data["tls.crt"], c.secret(t, mountedName).Data["ca.crt"])
	})
	during("the old authority is not trusted any more", func(t *testing.T) {
		c.trustOnly(t, c.secret(t, caName).Data["tls.crt"])
		c.awaitSettled(t, exactlyOne)
	})
}

// awaitTrusted waits until the caBundle of every webhook has the CA. A caBundle can have other CAs too.
func (c *certManager) awaitTrusted(t *testing.T, authority []byte) {
	t.Helper()
	require.Eventually(t, func() bool {
		bundles := c.bundles(t)
		return len(bundles) == 5 && !slices.ContainsFunc(bundles, func(has string) bool { return !strings.Contains(has, string(authority)) })
	}, patience, pollEvery, "the authority is trusted")
}

// trustOnly sets the caBundle of every webhook to this CA, because cert-manager's CA injector never removes a CA that has not
// expired.
func (c *certManager) trustOnly(t *testing.T, authority []byte) {
	t.Helper()
	api := c.client.AdmissionregistrationV1()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		mutating, err := api.MutatingWebhookConfigurations().Get(t.Context(), "00-jupyter-user-webhook", metav1.GetOptions{})
		require.NoError(collect, err)
		for i := range mutating.Webhooks {
			mutating.Webhooks[i].ClientConfig.CABundle = authority
		}
		_, err = api.MutatingWebhookConfigurations().Update(t.Context(), mutating, metav1.UpdateOptions{})
		require.NoError(collect, err)
		validating, err := api.ValidatingWebhookConfigurations().Get(t.Context(), "jupyter-user-webhook", metav1.GetOptions{})
		require.NoError(collect, err)
		validating.Webhooks[0].ClientConfig.CABundle = authority
		_, err = api.ValidatingWebhookConfigurations().Update(t.Context(), validating, metav1.UpdateOptions{})
		require.NoError(collect, err)
	}, patience, pollEvery)
}
