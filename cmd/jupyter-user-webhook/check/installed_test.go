package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/version"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

var now = time.Date(2030, 1, 10, 0, 0, 0, 0, time.UTC)

type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issueCertificate returns a certificate that the issuer has signed; a nil issuer makes it self-signed. If host is empty,
// the certificate is that of a CA.
func (by *issuer) issueCertificate(t *testing.T, host string, until time.Time) (issuer, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: until,
		IsCA: host == "", BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "x" + host}}
	if host != "" {
		template.DNSNames = []string{host}
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return issuer{made, key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestCertificate(t *testing.T) {
	later := now.Add(1000 * time.Hour)
	ca, caPEM := (*issuer)(nil).issueCertificate(t, "", later)
	between, betweenPEM := ca.issueCertificate(t, "", later)
	_, good := ca.issueCertificate(t, serviceDNS, now.Add(30*24*time.Hour))
	_, soon := ca.issueCertificate(t, serviceDNS, now.Add(7*24*time.Hour-time.Minute))
	_, past := ca.issueCertificate(t, serviceDNS, now.Add(-time.Minute))
	_, other := ca.issueCertificate(t, "other.svc", later)
	_, chained := between.issueCertificate(t, serviceDNS, later)
	_, strange := (*issuer)(nil).issueCertificate(t, serviceDNS, later)
	for name, c := range map[string]struct {
		crt, bundle []byte
		status      Status
		says        string
	}{
		"good":                         {good, caPEM, OK, "until 2030-02-09, and every webhook entry trusts it (4)"},
		"about to expire":              {soon, caPEM, Warning, "expires on 2030-01-16"},
		"expired":                      {past, caPEM, Failed, "renew it (see the runbook: A certificate expired)"},
		"for another name":             {other, caPEM, Failed, "valid for other.svc"},
		"of another CA":                {strange, caPEM, Failed, "unknown authority"},
		"of an intermediate CA":        {append(chained, betweenPEM...), caPEM, OK, ""},
		"of a missing intermediate CA": {chained, caPEM, Failed, "unknown authority"},
		"two CAs, as in rotation":      {good, append(strange, caPEM...), OK, ""},
		"no bundle":                    {good, nil, Failed, "have an empty caBundle"},
		"an unreadable bundle":         {good, []byte("x"), Failed, "have a caBundle without a certificate"},
		"no certificate":               {[]byte("x"), caPEM, Failed, "has no certificate in tls.crt that can be read: there is none"},
	} {
		t.Run(name, func(t *testing.T) {
			s := installedAs(t, mutatingWebhooks, func(_ string, object map[string]any) {
				for _, webhook := range objects(object["webhooks"]) {
					require.NoError(t, unstructured.SetNestedField(webhook, base64.StdEncoding.EncodeToString(c.bundle), "clientConfig", "caBundle"))
				}
			})
			s.installed[validatingWebhooks], s.now = &unstructured.UnstructuredList{}, now
			s.certificate = corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: certificateName}, Data: map[string][]byte{"tls.crt": c.crt}}
			assertOneFinding(t, certificate(t.Context(), s), c.status, c.says)
		})
	}
	s := &state{}
	assertOneFinding(t, certificate(t.Context(), s), Failed, "is missing: see why the Deployment jupyter-user-webhook-self-signed has not made it")
	s.certificate = corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: certificateName}, Data: map[string][]byte{"tls.crt": good}}
	s.installed = map[string]*unstructured.UnstructuredList{mutatingWebhooks: {}, validatingWebhooks: {}}
	assertOneFinding(t, certificate(t.Context(), s), Failed, "no webhook configuration")
}

func TestReachable(t *testing.T) {
	s := &state{}
	assert.Len(t, reachable(t.Context(), s), 2, "neither Service nor Deployment")
	s.service.Name, s.deployment = webhookName, appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: webhookName}}
	s.deployment.Status.AvailableReplicas = 2
	assertOneFinding(t, reachable(t.Context(), s), Failed, "has no ready endpoint")
	s.endpoints.Items = []discoveryv1.EndpointSlice{
		{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"kubernetes.io/service-name": "other"}}, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}},
		{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"kubernetes.io/service-name": webhookName}}, Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false)}}}},
	}
	assertOneFinding(t, reachable(t.Context(), s), Failed, "has no ready endpoint")
	s.endpoints.Items[1].Endpoints[0].Conditions.Ready = new(true)
	assertOneFinding(t, reachable(t.Context(), s), OK, "has 1 ready endpoint, and the Deployment 2 available replicas")
}

func TestParameters(t *testing.T) {
	s := &state{}
	assertOneFinding(t, parametersAgree(t.Context(), s), Failed, "does not say what the policies are rendered from (policies.json)")
	s.parameters = shippedValues(t)
	assert.Equal(t, "kube-system jupyter-user-system", s.parameters["unservedNamespaces"])
	assert.Equal(t, "hpc-pv hpc-pv-*", s.parameters["volumes"])
	s.config = config.Default()
	assertOneFinding(t, parametersAgree(t.Context(), s), OK, "are rendered from the webhook's configuration")
	s.parameters["claims"] += " another"
	assertOneFinding(t, parametersAgree(t.Context(), s), OK, "are rendered from the webhook's configuration")
	s.parameters["claims"] = "another"
	assertOneFinding(t, parametersAgree(t.Context(), s), Failed, "claims of the policies lacks hpc-shared-pvc")

	disagreeing := *s
	disagreeing.parameters = map[string]string{"home": "x", "homePrefix": "x", "scratchVolume": "x"}
	var messages []string
	for _, found := range parametersAgree(t.Context(), &disagreeing) {
		messages = append(messages, found.Message)
	}
	for i, key := range []string{"with home:", "with homePrefix:", "with scratchVolume:", "claims of", "images of"} {
		assert.Contains(t, messages[i], key, "the findings are in the same order each time")
	}
}

func TestClaims(t *testing.T) {
	s := closedCluster(t)
	s.claims.Items[0].Status.Phase = corev1.ClaimBound
	s.claims.Items[0].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	assertOneFinding(t, claims(t.Context(), s), Failed, "its claim hpc-shared-pvc is not ReadWriteMany")
	s.claims.Items[0].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	assertOneFinding(t, claims(t.Context(), s), OK, "the share's claim is bound in lab")
	own := s.claims.Items[0]
	own.Namespace, own.Spec.AccessModes = "jupyter-user-system", []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}
	s.claims.Items = append(s.claims.Items, own)
	s.namespaces.Items = append(s.namespaces.Items, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: own.Namespace}})
	assertOneFinding(t, claims(t.Context(), s), OK, "the share's claim is bound in")
	s.Namespaces = []string{"kube-system"}
	assertOneFinding(t, claims(t.Context(), s), Failed, "namespace kube-system: has no claim hpc-shared-pvc")
	assertOneFinding(t, claims(t.Context(), &state{}), Warning, "nobody can run a notebook yet")
}

func TestNodes(t *testing.T) {
	s := &state{config: config.Default()}
	assertOneFinding(t, nodesKnowGroups(t.Context(), s), Warning, "no Linux node")
	windows := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w", Labels: map[string]string{"kubernetes.io/os": "windows"}}}
	linux := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "l"}}
	linux.Status.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: new(true)}
	s.nodes.Items = []corev1.Node{windows, linux}
	assertOneFinding(t, nodesKnowGroups(t.Context(), s), OK, "every node")
	s.nodes.Items[1].Status.Features.SupplementalGroupsPolicy = new(false)
	assertOneFinding(t, nodesKnowGroups(t.Context(), s), Failed, "1 of 2 nodes do not support supplementalGroupsPolicy")
	s.config.Identity.StrictSupplementalGroups = false
	assertOneFinding(t, nodesKnowGroups(t.Context(), s), Warning, "identity.strictSupplementalGroups is false")
}

func TestGroupsOfImages(t *testing.T) {
	s := &state{config: config.Default()}
	assertOneFinding(t, groupsOfImages(t.Context(), s), OK, "no others")
	s.config.Identity.ImageGroups = []int64{100, 44}
	assertOneFinding(t, groupsOfImages(t.Context(), s), Warning, "any Pod may have the group 100, 44")
}

func TestVersions(t *testing.T) {
	s := &state{Options: Options{Version: "v0.2.0"}, config: config.Default(), server: &version.Info{GitVersion: "v1.33.0-eks-1"}}
	s.deployment = appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: webhookName}}
	s.deployment.Spec.Template.Spec.Containers = []corev1.Container{{Image: s.config.Init.Image}}
	assertOneFinding(t, versions(t.Context(), s), OK, "the API server is v1.33.0-eks-1")
	s.server.GitVersion = "v1.32.9"
	assertOneFinding(t, versions(t.Context(), s), Failed, "is v1.32.9, and what the webhook is built on needs 1.33")
	s.server.GitVersion = "x"
	assertOneFinding(t, versions(t.Context(), s), Unknown, "cannot be read")
	s.server.GitVersion = "v1.37.0"
	for image, says := range map[string]string{
		"registry.example:5000/w@sha256:00": "", "registry.example:5000/w": "", "registry.example:5000/w:v0.2.0@sha256:00": "",
		"w:v0.1.0": "runs w:v0.1.0, and this program is v0.2.0", "registry.example:5000/w:v0.1.0@sha256:00": "and this program is v0.2.0",
	} {
		s.deployment.Spec.Template.Spec.Containers[0].Image, s.config.Init.Image = image, image
		if says == "" {
			assertOneFinding(t, versions(t.Context(), s), OK, image)
			continue
		}
		assertOneFinding(t, versions(t.Context(), s), Warning, says)
	}
	s.Version = "dev"
	assertOneFinding(t, versions(t.Context(), s), OK, "")
}

// TestMissingNamespace tests that, of three checks, only "claims" reports a missing namespace.
func TestMissingNamespace(t *testing.T) {
	s := closedCluster(t)
	s.Namespaces, s.parameters["podSecurity"] = []string{"nosuch"}, baseline
	about := func(found []Finding) (n int) {
		for _, f := range found {
			if f.Where == "namespace nosuch" {
				n++
			}
		}
		return n
	}
	assert.Equal(t, 1, about(claims(t.Context(), s)))
	assert.Zero(t, about(podSecurity(t.Context(), s)))
	assert.Zero(t, about(egress(t.Context(), s)))
}
