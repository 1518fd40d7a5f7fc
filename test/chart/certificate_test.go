package chart

import (
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/certs"
)

// TestCertManagerObjects decodes the rendered cert-manager objects strictly, and compares them with the objects that
// package certs expects.
func TestCertManagerObjects(t *testing.T) {
	t.Parallel()
	rendered, err := newHelm(t).Template(t.Context(), matrix["certificates by cert-manager"])
	require.NoError(t, err)
	shipped := certs.Issued{}
	for _, document := range strings.Split(read(t, rendered, "40-certificate.yaml"), "\n---\n") {
		var kind struct{ Kind string }
		require.NoError(t, yaml.Unmarshal([]byte(document), &kind))
		switch kind.Kind {
		case "Issuer":
			issuer := certmanagerv1.Issuer{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), &issuer))
			shipped.Issuers = append(shipped.Issuers, issuer)
		case "Certificate":
			certificate := certmanagerv1.Certificate{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), &certificate))
			shipped.Certificates = append(shipped.Certificates, certificate)
		default:
			assert.Fail(t, "it is of another kind", kind.Kind)
		}
	}
	assert.Equal(t, certs.ByCertManager("jupyter-user-system"), shipped)
	assert.Equal(t, "jupyter-user-webhook-certs", shipped.Certificates[1].Spec.SecretName, "the Deployment mounts this Secret")
	assert.Equal(t, []string{"jupyter-user-webhook.jupyter-user-system.svc"}, shipped.Certificates[1].Spec.DNSNames)
}
