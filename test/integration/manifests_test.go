package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const examples = "../../deploy/examples/"

// manifests returns the documents of deploy/install.yaml that are rendered from this file of the chart.
func manifests(t *testing.T, file string) []string {
	t.Helper()
	return strings.Split(shipped(t, file), "\n---\n")
}

// shipped returns the part of deploy/install.yaml that is rendered from this file of the chart.
func shipped(t *testing.T, file string) string {
	t.Helper()
	text, err := deploy.Read(file)
	require.NoError(t, err)
	return text
}

// TestInstalledConfiguration tests that the webhook can read the configuration in deploy/install.yaml, and that the
// configuration and the Deployment have the same image.
func TestInstalledConfiguration(t *testing.T) {
	configMap := &corev1.ConfigMap{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(manifests(t, "20-configmap.yaml")[0]), configMap))
	c, err := config.Parse([]byte(configMap.Data["config.yaml"]))
	require.NoError(t, err)
	deployment := manifests(t, "30-deployment.yaml")[0]
	assert.Contains(t, deployment, "image: "+c.Init.Image+"\n")
}

// TestWebhookEntriesAreDisjoint tests that the four webhooks of the shipped MutatingWebhookConfiguration have the same
// settings, and that no Pod matches two of them.
func TestWebhookEntriesAreDisjoint(t *testing.T) {
	shipped := &admissionv1.MutatingWebhookConfiguration{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(manifests(t, "50-mutatingwebhookconfiguration.yaml")[0]), shipped))
	require.Len(t, shipped.Webhooks, 4)
	for _, w := range shipped.Webhooks {
		assert.Equal(t, admissionv1.Fail, *w.FailurePolicy)
		assert.Equal(t, admissionv1.SideEffectClassNone, *w.SideEffects)
		assert.Equal(t, admissionv1.IfNeededReinvocationPolicy, *w.ReinvocationPolicy)
		assert.Equal(t, int32(2), *w.TimeoutSeconds)
		assert.Equal(t, []admissionv1.OperationType{"CREATE"}, w.Rules[0].Operations)
		assert.Equal(t, []string{"pods"}, w.Rules[0].Resources)
	}
	for _, pod := range []map[string]string{
		{"jupyter-user": "a"}, {"hub.jupyter.org/username": "a"}, {"jupyter-user": "a", "hub.jupyter.org/username": "a"}, {"app": "a"},
	} {
		for level, path := range map[string]string{"": "/mutate", "baseline": "/mutate", "restricted": "/mutate/restricted"} {
			namespace := map[string]string{"kubernetes.io/metadata.name": "x"}
			if level != "" {
				namespace["pod-security.kubernetes.io/enforce"] = level
			}
			var paths []string
			for _, w := range shipped.Webhooks {
				if selects(t, w.ObjectSelector, pod) && selects(t, w.NamespaceSelector, namespace) {
					paths = append(paths, *w.ClientConfig.Service.Path)
				}
			}
			if pod["app"] != "" {
				assert.Empty(t, paths)
			} else {
				assert.Equal(t, []string{path}, paths, "%v in a namespace that enforces %q", pod, level)
			}
		}
	}
}

func selects(t *testing.T, s *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	require.NoError(t, err)
	return selector.Matches(labels.Set(set))
}
