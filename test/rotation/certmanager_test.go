package rotation

import (
	"encoding/pem"
	"os/exec"
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

	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// caName is the Certificate of the authority, and its Secret.
const caName = "jupyter-user-webhook-ca"

// certManager has what cert-manager runs by, and what it knows of it.
type certManager struct {
	*world
	api client.Client
}

func newCertManager(t *testing.T) *certManager {
	t.Helper()
	built, err := tools.Build(t.Context(), t.Output(), tools.CertManager)
	require.NoError(t, err)
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager").Output()
	require.NoError(t, err)
	c := &certManager{world: newWorld(t, filepath.Join(strings.TrimSpace(string(module)), "deploy", "crds"), "certificates.source=certManager")}
	scheme := runtime.NewScheme()
	require.NoError(t, certmanagerv1.AddToScheme(scheme))
	c.api, err = client.New(c.Admin.Config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	c.startReplicas(t)
	for _, r := range c.service.replicas {
		require.Eventually(t, func() bool { return len(r.log.Lines(t, "waiting for the serving certificate")) > 0 }, patience, pollEvery)
	}
	run(t, built[tools.CertManager], "-kubeconfig="+c.Admin.Kubeconfig)
	return c
}

// renew does what cmctl renew does.
func (c *certManager) renew(t *testing.T, name string) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		certificate := &certmanagerv1.Certificate{}
		require.NoError(collect, c.api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, certificate))
		others := slices.DeleteFunc(certificate.Status.Conditions, func(has certmanagerv1.CertificateCondition) bool {
			return has.Type == certmanagerv1.CertificateConditionIssuing
		})
		certificate.Status.Conditions = append(others, certmanagerv1.CertificateCondition{
			Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "ManuallyTriggered",
			Message: "Certificate re-issuance manually triggered", ObservedGeneration: certificate.Generation,
			LastTransitionTime: new(metav1.Now()),
		})
		require.NoError(collect, c.api.Status().Update(t.Context(), certificate))
	}, patience, pollEvery)
}

// reissued waits until a Secret has another certificate than before, and answers it.
func (c *certManager) reissued(t *testing.T, name string, before []byte) (now []byte) {
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

// everywhere tells whether every webhook entry has a bundle.
func (c *certManager) everywhere(t *testing.T, bundle string) bool {
	t.Helper()
	bundles := c.bundles(t)
	return len(bundles) == 5 && !slices.ContainsFunc(bundles, func(has string) bool { return has != bundle })
}

func (c *certManager) kubectl(t *testing.T, arguments ...string) {
	t.Helper()
	require.NoError(t, c.Admin.Do(t.Context(), "", arguments...))
}

func TestCertManagersCertificatesRotateWithoutALostAdmission(t *testing.T) {
	t.Parallel()
	began := time.Now()
	c := newCertManager(t)
	issuing := time.Now()
	c.settled(t)
	t.Logf("cert-manager started, and from nothing to a certificate in both replicas: %.1f s of %.1f s", time.Since(issuing).Seconds(),
		time.Since(began).Seconds())
	require.Eventually(t, func() bool { _, err := c.admit(); return err == nil }, patience, pollEvery)

	l := c.startLoad(t)
	during := func(what string, do func(t *testing.T)) { t.Helper(); l.during(t, c.service, what, do) }
	during("the certificate is renewed", func(t *testing.T) {
		before, key := c.secret(t, mountedName), c.key(t, mountedName)
		c.renew(t, "jupyter-user-webhook")
		c.replaced(t, before)
		assert.NotEqual(t, key, c.key(t, mountedName), "with another key")
	})
	during("the authority is renewed, and then the certificate", func(t *testing.T) {
		before, authority, key := c.secret(t, mountedName), c.secret(t, caName).Data["tls.crt"], c.key(t, caName)
		c.renew(t, caName)
		renewed := c.reissued(t, caName, authority)
		assert.Equal(t, key, c.key(t, caName), "with the same key")
		c.renew(t, "jupyter-user-webhook")
		c.replaced(t, before)
		require.Eventually(t, func() bool { return c.everywhere(t, string(renewed)) }, patience, pollEvery)
	})
	during("the Secret of the webhook is deleted", func(t *testing.T) {
		before := c.secret(t, mountedName)
		c.remove(t, mountedName)
		c.replaced(t, before)
	})
	during("the Secret of the authority is deleted", func(t *testing.T) {
		before, key, trusted := c.secret(t, caName), c.key(t, caName), c.bundles(t)
		c.remove(t, caName)
		c.reissued(t, caName, before.Data["tls.crt"])
		assert.NotEqual(t, key, c.key(t, caName), "with another key, since the old one is gone")
		assert.Equal(t, trusted, c.bundles(t), "and the API server trusts what the webhook serves")
	})
	during("the certificate is reissued by the new authority", func(t *testing.T) { c.changeAuthority(t) })
}

// changeAuthority does what deploy/README.md says of an authority with a new key: both are trusted until every replica serves a
// certificate of the new one.
func (c *certManager) changeAuthority(t *testing.T) {
	t.Helper()
	before := c.secret(t, mountedName)
	old, young := string(before.Data["ca.crt"]), string(c.secret(t, caName).Data["tls.crt"])
	require.NotEqual(t, old, young)
	c.kubectl(t, "-n", namespace, "create", "secret", "generic", "jupyter-user-webhook-trust", "--from-literal=ca.crt="+old+young)
	c.kubectl(t, "-n", namespace, "annotate", "secret", "jupyter-user-webhook-trust", "cert-manager.io/allow-direct-injection=true")
	configurations := "mutatingwebhookconfiguration/jupyter-user-webhook,validatingwebhookconfiguration/jupyter-user-webhook"
	for _, configuration := range strings.Split(configurations, ",") {
		c.kubectl(t, "annotate", configuration, "cert-manager.io/inject-ca-from-",
			"cert-manager.io/inject-ca-from-secret="+namespace+"/jupyter-user-webhook-trust")
	}
	require.Eventually(t, func() bool { return c.everywhere(t, old+young) }, patience, pollEvery)

	c.remove(t, mountedName)
	require.Eventually(t, func() bool { return c.served(t) && c.trusts(t, 2) }, patience, pollEvery, "every replica has the new one")
	for _, configuration := range strings.Split(configurations, ",") {
		c.kubectl(t, "annotate", configuration, "cert-manager.io/inject-ca-from-secret-",
			"cert-manager.io/inject-ca-from="+namespace+"/jupyter-user-webhook")
	}
	require.Eventually(t, func() bool { return c.everywhere(t, young) }, patience, pollEvery, "the old one is trusted no more")
	c.remove(t, "jupyter-user-webhook-trust")
	c.replaced(t, before)
}
