package chart

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// otherKinds maps each kind of another project that the chart can render to a key of the map matrix. The chart renders the
// kind with the values that matrix has for this key.
var otherKinds = map[string]string{
	"Issuer.v1.cert-manager.io":               "certificates by cert-manager",
	"Certificate.v1.cert-manager.io":          "certificates by cert-manager",
	"PodMonitor.v1.monitoring.coreos.com":     "monitoring",
	"PrometheusRule.v1.monitoring.coreos.com": "monitoring",
}

// installOtherKinds installs the CustomResourceDefinitions of otherKinds, and waits until the API server has the kinds.
func installOtherKinds(t *testing.T, plane *controlplane.ControlPlane) {
	t.Helper()
	issuers, err := project.Module(t.Context(), ".", "github.com/cert-manager/cert-manager")
	require.NoError(t, err)
	monitors, err := project.Module(t.Context(), "test/tools/prometheus-operator", "github.com/prometheus-operator/prometheus-operator")
	require.NoError(t, err)
	monitors = filepath.Join(monitors, "example", "prometheus-operator-crd", "monitoring.coreos.com_")
	require.NoError(t, plane.Admin.Do(t.Context(), "", "create", "-f", filepath.Join(issuers, "deploy", "crds"),
		"-f", monitors+"podmonitors.yaml", "-f", monitors+"prometheusrules.yaml"))
	for kind := range otherKinds {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.NoError(c, plane.Admin.Do(t.Context(), "", "get", kind, "--all-namespaces"))
		}, machine.Patience, 100*time.Millisecond)
	}
}

// assertUnknownDenied tests that the dry run denies an object of each kind of otherKinds if it has an unknown field.
func assertUnknownDenied(t *testing.T, plane *controlplane.ControlPlane, h *helm.Helm) {
	t.Helper()
	for resource, values := range otherKinds {
		kind, _, _ := strings.Cut(resource, ".")
		t.Run("an unknown field of "+kind, func(t *testing.T) {
			t.Parallel()
			rendered, err := h.Template(t.Context(), matrix[values])
			require.NoError(t, err)
			documents := strings.Split(string(rendered), "\n---\n")
			at := slices.IndexFunc(documents, func(d string) bool { return strings.Contains(d, "\nkind: "+kind+"\n") })
			require.GreaterOrEqual(t, at, 0)
			applied := dryRun(t, plane, strings.Replace(documents[at], "\nspec:\n", "\nspec:\n  nonsense: true\n", 1))
			assert.Contains(t, applied.Stderr, "Kind="+kind+"): .spec.nonsense: field not declared in schema")
		})
	}
}
