package integration

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// A sitePolicy has the messages with which a policy of testdata/demands.yaml denies a notebook, by discovery. A message is
// empty if the policy admits the notebook.
type sitePolicy struct{ atAdmission, atStart string }

// sitePolicies has the policies of testdata/demands.yaml. The webhook's notebooks meet each policy that has no message
// here. With discovery at start, they cannot meet non-root, no-root-group and no-capabilities. The policy read-only-root
// requires a field that only the author of a Pod sets.
var sitePolicies = map[string]sitePolicy{
	"bounded-scratch":                   {},
	"dropped-capabilities":              {},
	"labels":                            {},
	"limits":                            {},
	"no-escalation":                     {},
	"no-host-path":                      {},
	"no-token":                          {},
	"one-registry":                      {},
	"probes":                            {},
	"tags":                              {},
	"read-only-root-of-init-containers": {},
	"non-root":                          {atStart: "every container says that it is not root"},
	"no-root-group":                     {atStart: "no container has the group root"},
	"no-capabilities":                   {atStart: "capabilities are dropped and none added"},
	"read-only-root": {
		atAdmission: "every container has a read-only root file system",
		atStart:     "every container has a read-only root file system",
	},
}

// TestPoliciesOfSites creates notebooks under ValidatingAdmissionPolicies like those of real sites, each policy in its own
// namespace.
func TestPoliciesOfSites(t *testing.T) {
	t.Parallel()
	e := startEnforced(t, controlplane.Options{})
	policies, err := os.ReadFile("testdata/demands.yaml")
	require.NoError(t, err)
	require.NoError(t, e.Apply(t.Context(), string(policies)))
	for name := range sitePolicies {
		labels := podSecurityLabels("enforce=baseline")
		labels["demands"] = name
		e.createEnforcing(t, name, labels)
	}
	const ownImage = "registry.example/jupyter-user-webhook:v0.2.0"
	e.acceptImages(t, ownImage)

	t.Run("the init image of another registry", func(t *testing.T) { foreignRegistry(t, e) })
	e.configure(t, func(c *config.Config) { c.Init.Image = ownImage })
	for name, demand := range sitePolicies {
		t.Run(name, func(t *testing.T) {
			withEachDiscovery(t, func(t *testing.T, user string) {
				message := demand.atStart
				if user == "alice" {
					message = demand.atAdmission
				}
				assertSitePolicy(t, e, name, message, labelledPod(user, withRequiredFields))
			})
		})
	}
	t.Run("a read-only root that the pod sets", func(t *testing.T) { readOnlyRoot(t, e) })
}

// withRequiredFields sets the labels and the image that the policies require from the author of a Pod.
func withRequiredFields(pod *corev1.Pod) {
	for key, value := range map[string]string{"team": "a", "example.com/cost-centre": "1", "app.kubernetes.io/name": "notebook"} {
		pod.Labels[key] = value
	}
	pod.Spec.Containers[0].Image = "registry.example/jupyter/minimal-notebook:2026-11-02"
}

func assertSitePolicy(t *testing.T, e *enforced, name, message string, pod *corev1.Pod) {
	t.Helper()
	o := e.createDry(t, name, pod)
	if message == "" {
		e.assertAdmitted(t, o)
		return
	}
	assertDeniedWith(t, o, "ValidatingAdmissionPolicy '"+name+".example.com' with binding '"+name+".example.com' denied request: "+message)
}

// foreignRegistry tests a policy that allows images of only one registry. The policy denies notebooks while the webhook's
// own image comes from another registry.
func foreignRegistry(t *testing.T, e *enforced) {
	withEachDiscovery(t, func(t *testing.T, user string) {
		assertSitePolicy(t, e, "one-registry", "images come from registry.example", labelledPod(user, withRequiredFields))
	})
}

// readOnlyRoot tests that the webhook keeps a read-only root file system that the Pod sets for the notebook container.
// The webhook itself sets none there, because only the author of a Pod knows whether the image works with it.
func readOnlyRoot(t *testing.T, e *enforced) {
	withEachDiscovery(t, func(t *testing.T, user string) {
		pod := e.assertAdmitted(t, e.createDry(t, "read-only-root", labelledPod(user, withRequiredFields, func(pod *corev1.Pod) {
			pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
		})))
		assert.True(t, *pod.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem)
	})
}
