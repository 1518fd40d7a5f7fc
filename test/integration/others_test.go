package integration

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// TestChangesByLaterWebhook tests that after another webhook's changes, the stored Pod still has the fields that our
// webhook has set, and keeps the other webhook's additions.
func TestChangesByLaterWebhook(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "second", "baseline")
	for _, name := range []string{"alice", "qiang.guo03"} {
		for change, check := range map[string]func(*testing.T, *corev1.Pod){
			"sidecar": func(t *testing.T, pod *corev1.Pod) {
				assert.Equal(t, "proxy", pod.Spec.Containers[1].Name)
			},
			"sidecar-first": func(t *testing.T, pod *corev1.Pod) {
				// The new container has the name that would select it as the notebook container. But an annotation of the
				// Pod records the container that the webhook chose before.
				assert.Equal(t, "notebook", pod.Spec.Containers[0].Name)
				assert.Empty(t, pod.Spec.Containers[0].Command)
			},
			"native-sidecar-first": func(t *testing.T, pod *corev1.Pod) {
				assert.Equal(t, "jupyter-user-init", pod.Spec.InitContainers[0].Name)
				assert.Equal(t, "proxy", pod.Spec.InitContainers[1].Name)
			},
			"init-image": func(t *testing.T, pod *corev1.Pod) {
				assert.Equal(t, "jupyter-user-webhook:v0.2.0", pod.Spec.InitContainers[0].Image)
			},
			"init-command": func(t *testing.T, pod *corev1.Pod) {
				assert.Equal(t, []string{"/jupyter-user-init"}, pod.Spec.InitContainers[0].Command)
			},
			"rename": func(t *testing.T, pod *corev1.Pod) {
				assert.Equal(t, "yes", pod.Annotations["renamed"])
			},
			"defaults": func(t *testing.T, pod *corev1.Pod) {
				assert.Contains(t, pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "PROXY", Value: "x"})
			},
			"root": func(t *testing.T, pod *corev1.Pod) {
				assert.Equal(t, []corev1.Capability{"ALL"}, pod.Spec.Containers[0].SecurityContext.Capabilities.Drop)
			},
		} {
			t.Run(name+"/"+change, func(t *testing.T) {
				pod := name[:1] + "-" + change
				raw, stored := c.run(t, "second", pod, "--labels=jupyter-user="+name+",second="+change, "--", "jupyter", "lab", "--port=9999")
				assertSettled(t, raw)
				check(t, stored)
				notebook := containerNamed(t, stored, pod)
				assert.Equal(t, []string{"jupyter", "lab", "--port=9999"}, notebook.Args)
				assert.Equal(t, 9999, notebook.ReadinessProbe.HTTPGet.Port.IntValue())
			})
		}
	}
}

func containerNamed(t *testing.T, pod *corev1.Pod, name string) corev1.Container {
	t.Helper()
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0)
	return pod.Spec.Containers[i]
}

// TestAlwaysPullImages tests that the verifier accepts the change by the admission plugin AlwaysPullImages, which sets
// imagePullPolicy of our init container after the webhook.
func TestAlwaysPullImages(t *testing.T) {
	t.Parallel()
	c := start(t, "AlwaysPullImages")
	c.namespace(t, "pull", "restricted")
	raw, pod := c.run(t, "pull", "nb", "--labels=jupyter-user=alice")
	assert.Equal(t, corev1.PullAlways, pod.Spec.InitContainers[0].ImagePullPolicy)
	assertSettled(t, raw)
	reviews := c.decisions(t, "pull")
	assert.Equal(t, "injected", reviews[0].Outcome)
	assertUnchangedAndVerified(t, reviews[1:])
}
