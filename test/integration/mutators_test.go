package integration

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const (
	initImage = "jupyter-user-webhook:v0.2.0"
	mirrored  = "mirror.example/" + initImage
)

// TestOtherMutators tests usual changes of Pods by others: by MutatingAdmissionPolicies, which run before all webhooks and
// again after a change, and by webhooks that the API server calls before and after ours.
func TestOtherMutators(t *testing.T) {
	t.Parallel()
	e := startEnforced(t, controlplane.Options{Webhooks: []string{"testdata/first-webhook.yaml"}})
	e.createEnforcing(t, "beside", podSecurityLabels("enforce=baseline"))
	e.acceptImages(t, mirrored)
	policies := installMutatingPolicies(t, e)

	for label, checks := range mutations() {
		for change, check := range checks {
			t.Run(label+"/"+change, func(t *testing.T) {
				skipUnless(t, policies || label != "policy")
				withEachDiscovery(t, func(t *testing.T, user string) {
					pod := e.assertAdmittedWithWarnings(t, e.createDry(t, "beside", labelledPod(user, mutated(label, change))))
					check(t, pod)
					assertOurs(t, pod, user)
				})
			})
		}
	}
	t.Run("the name of a pod", func(t *testing.T) { changedName(t, e) })
	t.Run("a policy that labels pods", func(t *testing.T) { skipUnless(t, policies); labelledByPolicy(t, e) })
	t.Run("a mirror for our image", func(t *testing.T) { mirror(t, e, policies) })
	t.Run("a variable for every container, added after ours", func(t *testing.T) { environmentRepeated(t, e) })
}

// installMutatingPolicies installs the MutatingAdmissionPolicies of testdata and waits until they are in effect. It reports
// false on an API server before 1.36, which does not have them.
func installMutatingPolicies(t *testing.T, e *enforced) (known bool) {
	t.Helper()
	served, err := e.admin.Discovery().ServerResourcesForGroupVersion("admissionregistration.k8s.io/v1")
	require.NoError(t, err)
	if !slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Kind == "MutatingAdmissionPolicy" }) {
		return false
	}
	policies, err := os.ReadFile("testdata/mutating-policies.yaml")
	require.NoError(t, err)
	require.NoError(t, e.Apply(t.Context(), string(policies)))
	ctx := t.Context()
	marked := plainPod()
	marked.Labels = map[string]string{"policy": "marked"}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pod, err := e.admin.CoreV1().Pods("default").Create(ctx, marked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		require.NoError(c, err)
		assert.Equal(c, "yes", pod.Annotations["marked"])
	}, wait, wait/1000)
	return true
}

// skipUnless skips a test if the API server does not know a feature.
func skipUnless(t *testing.T, known bool) {
	t.Helper()
	if !known {
		t.Skip("skipped: this API server does not have the tested feature")
	}
}

// mutated adds a label. The label's key selects the webhook or policy that changes the Pod, and the label's value selects
// the change.
func mutated(label, change string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Labels[label] = change }
}

type podCheck = func(*testing.T, *corev1.Pod)

// mutations returns checks of the admitted Pod. The outer key is the label that selects a webhook or policy, and the inner
// key is the value of the label, which selects the change. The function "mutated" adds the label to a Pod.
func mutations() map[string]map[string]podCheck {
	usual := map[string]podCheck{
		"sidecar":     func(t *testing.T, pod *corev1.Pod) { assert.Equal(t, "proxy", pod.Spec.Containers[1].Name) },
		"tolerations": hasToleration,
		"environment": notebookHasProxy,
		"rename":      func(t *testing.T, pod *corev1.Pod) { assert.Equal(t, "yes", pod.Annotations["renamed"]) },
		"rename-pod":  func(t *testing.T, pod *corev1.Pod) { assert.True(t, strings.HasPrefix(pod.Name, "renamed-"), pod.Name) },
		"mirror":      notebookMirrored,
	}
	mesh := func(t *testing.T, pod *corev1.Pod) {
		assert.Equal(t, "istio-proxy", pod.Spec.Containers[0].Name)
		assert.Empty(t, pod.Spec.Containers[0].VolumeMounts[1:], "its token, and nothing of a home")
	}
	usual["mesh"] = mesh
	afterwards := maps.Clone(usual)
	delete(afterwards, "environment")
	delete(afterwards, "mirror")
	return map[string]map[string]podCheck{
		"first": usual, "second": usual, "repeating": afterwards,
		"policy": {
			"sidecar":     func(t *testing.T, pod *corev1.Pod) { assert.Equal(t, "proxy", pod.Spec.Containers[1].Name) },
			"tolerations": hasToleration,
			"environment": notebookHasProxy,
			"mirror":      notebookMirrored,
			"root":        func(*testing.T, *corev1.Pod) {},
		},
	}
}

func hasToleration(t *testing.T, pod *corev1.Pod) {
	assert.Equal(t, map[string]string{"pool": "gpu"}, pod.Spec.NodeSelector)
	assert.Contains(t, pod.Spec.Tolerations, corev1.Toleration{Key: "gpu", Operator: "Exists", Effect: "NoSchedule"})
}

func notebookHasProxy(t *testing.T, pod *corev1.Pod) {
	assert.Contains(t, pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "PROXY", Value: "x"})
}

func notebookMirrored(t *testing.T, pod *corev1.Pod) {
	assert.Equal(t, "mirror.example/quay.io/jupyter/minimal-notebook", pod.Spec.Containers[0].Image)
}

// assertOurs asserts that other webhooks have not changed the name, image, environment and UID of the init container, and
// the UID of the notebook container.
func assertOurs(t *testing.T, pod *corev1.Pod, user string) {
	t.Helper()
	first, nb := pod.Spec.InitContainers[0], containerNamed(t, pod, "nb")
	assert.Equal(t, "jupyter-user-init", first.Name)
	assert.Equal(t, initImage, first.Image)
	assert.Empty(t, first.Env)
	require.Equal(t, "nb", pod.Annotations["jupyter-user.io/container"])
	uid := map[string]int64{"alice": 5001}[user]
	assert.Equal(t, cmp.Or(uid, 65532), *first.SecurityContext.RunAsUser)
	assert.Equal(t, uid, *nb.SecurityContext.RunAsUser)
	assert.Equal(t, uid != 0, *nb.SecurityContext.RunAsNonRoot)
}

// changedName tests that another webhook can change the Pod's name, because our webhook does not use the name.
func changedName(t *testing.T, e *enforced) {
	for _, label := range []string{"first", "second", "repeating"} {
		withEachDiscovery(t, func(t *testing.T, user string) {
			pod := e.assertAdmitted(t, e.createDry(t, "beside", labelledPod(user, mutated(label, "rename-pod"), func(pod *corev1.Pod) {
				pod.Name, pod.GenerateName = "nb", ""
			})))
			assert.Equal(t, "renamed-nb", pod.Name)
		})
	}
}

// labelledByPolicy tests that if a policy adds the label of a user, the requester still needs the right to the user's home.
func labelledByPolicy(t *testing.T, e *enforced) {
	podOfOwner := func(owner string) *corev1.Pod {
		return labelledPod("", func(pod *corev1.Pod) { pod.Labels = map[string]string{"policy": "whose", "owner": owner} })
	}
	for _, user := range userOfDiscovery {
		pod := e.assertAdmitted(t, e.createDry(t, "beside", podOfOwner(user)))
		assert.Equal(t, user, pod.Annotations["jupyter-user.io/user"])
	}
	assertDenied(t, e.createDry(t, "beside", podOfOwner("bob")).err, "access/NoAccess")
}

// mirror tests another webhook that replaces the image of our init container after each call of our webhook. The Pod is
// denied until both the policies and the configuration accept the new image.
func mirror(t *testing.T, e *enforced, policies bool) {
	withEachDiscovery(t, func(t *testing.T, user string) {
		o := e.createDry(t, "beside", labelledPod(user, mutated("repeating", "mirror-elsewhere")))
		assertDenied(t, o.err, "net/InitForeign")
		assertDeniedWith(t, o, "If the image of the first, elsewhere.example/"+initImage+", is right, the admin must add it to the value image.accepted")

		o = e.createDry(t, "beside", labelledPod(user, mutated("repeating", "mirror")))
		assertDeniedWith(t, o, "spec.initContainers[0].image: this is not what the webhook wrote")
		assert.Equal(t, "Drifted", reason(o.err))
	})
	e.configure(t, func(c *config.Config) { c.Init.AcceptedImages = []string{mirrored} })
	for _, label := range []string{"repeating", "second", "policy"} {
		t.Run("accepted/"+label, func(t *testing.T) {
			skipUnless(t, policies || label != "policy")
			withEachDiscovery(t, func(t *testing.T, user string) {
				pod := e.assertAdmitted(t, e.createDry(t, "beside", labelledPod(user, mutated(label, "mirror"))))
				assert.Equal(t, mirrored, pod.Spec.InitContainers[0].Image)
				notebookMirrored(t, pod)
			})
		})
	}
}

// environmentRepeated tests that a Pod is denied if another webhook adds variables to our init container after each call of
// our webhook.
func environmentRepeated(t *testing.T, e *enforced) {
	withEachDiscovery(t, func(t *testing.T, user string) {
		assertDenied(t, e.createDry(t, "beside", labelledPod(user, mutated("repeating", "environment"))).err, "net/InitForeign")
	})
}
