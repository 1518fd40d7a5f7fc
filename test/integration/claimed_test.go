package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestClaimedInCEL tests which Pods of webhook/user/testdata/claimed.yaml the policies treat as claimed. The requester
// may use no home, so the policy access.jupyter-user.io denies exactly the claimed Pods.
func TestClaimedInCEL(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../webhook/user/testdata/claimed.yaml")
	require.NoError(t, err)
	var table []struct {
		Name                string
		Labels, Annotations map[string]string
		Claimed             bool
	}
	require.NoError(t, yaml.UnmarshalStrict(text, &table))
	require.Greater(t, len(table), 30)
	g := startGuarded(t)
	for _, c := range table {
		t.Run(c.Name, func(t *testing.T) {
			pod := plainPod()
			pod.Labels, pod.Annotations = c.Labels, c.Annotations
			err := create(t.Context(), g.bob, "lab", pod)
			if c.Claimed {
				require.ErrorContains(t, err, "ValidatingAdmissionPolicy 'access.jupyter-user.io'")
				return
			}
			require.NoError(t, err)
			// The policy share.jupyter-user.io denies a Pod that is not claimed and has the share's claim.
			pod.Spec.Volumes = []corev1.Volume{claimVolume("all")}
			assertDenied(t, create(t.Context(), g.bob, "lab", pod), "share/ShareMounted")
		})
	}
}

// TestMatchConditionsOfWebhooks tests that the match conditions of the webhooks contain the match condition of the
// policy access.jupyter-user.io.
func TestMatchConditionsOfWebhooks(t *testing.T) {
	predicate := strings.Join(strings.Fields(policiesOf(t, shippedPolicies(t))["access"].Spec.MatchConditions[0].Expression), " ")
	mutating := strings.Join(strings.Fields(shipped(t, "50-mutatingwebhookconfiguration.yaml")), " ")
	assert.Equal(t, 4, strings.Count(mutating, "expression: >- "+predicate+" namespaceSelector:"))
	verifying := strings.Join(strings.Fields(shipped(t, "51-validatingwebhookconfiguration.yaml")), " ")
	assert.Contains(t, verifying, "expression: >- "+predicate+" || has(object.metadata.annotations)")
	for _, annotation := range []string{"user", "discovery", "identity", "config", "container", "probes", "account-files", "home-in"} {
		assert.Contains(t, verifying, "'jupyter-user.io/"+annotation+"' in object.metadata.annotations")
	}
	assert.NotContains(t, verifying, "'jupyter-user.io/inject' in")
}

// TestExpressionsDoNotIterateOverMaps tests that no CEL expression of the webhooks and policies iterates over labels or
// annotations. The processor time would grow with the square of their number, and a Pod can have any number of labels and
// annotations.
func TestExpressionsDoNotIterateOverMaps(t *testing.T) {
	macro := `(labels|annotations)(\.orValue\(\{\}\))?\.(exists|all|filter|map|exists_one)\(`
	for _, file := range []string{"50-mutatingwebhookconfiguration.yaml", "51-validatingwebhookconfiguration.yaml"} {
		assert.NotRegexp(t, macro, shipped(t, file))
	}
	for _, manifest := range shippedPolicies(t) {
		assert.NotRegexp(t, macro, manifest)
	}
}

// addHubKeys adds the labels and the annotation of a hub's Pod. component is the value of the label "component".
func addHubKeys(pod *corev1.Pod, component string) {
	metav1.SetMetaDataLabel(&pod.ObjectMeta, "hub.jupyter.org/username", "alice")
	metav1.SetMetaDataLabel(&pod.ObjectMeta, "component", component)
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "hub.jupyter.org/username", "alice")
}
