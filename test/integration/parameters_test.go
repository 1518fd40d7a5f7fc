package integration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// parameters changes them for the rest of a test.
func (g *guarded) parameters(t *testing.T, patch, back string) {
	t.Helper()
	require.NoError(t, setParameters(t, g, patch))
	g.awaitParameters(t)
	t.Cleanup(func() {
		_, err := g.admin(t).RbacV1().Roles("jupyter-user-system").Patch(context.Background(), "jupyter-user-policy",
			types.MergePatchType, []byte(back), metav1.PatchOptions{})
		assert.NoError(t, err)
	})
}

func ownHomes(t *testing.T, g *guarded) {
	const alice = "oidc:alice@corp.example"
	for _, name := range []string{alice, "oidc:alice@other.example", "alice@corp.example", "oidc:alice", "alice",
		"oidc:alice2@corp.example", "oidc:Alice@corp.example"} {
		g.allow(t, "lab", name, withPods)
		assertRefused(t, create(t.Context(), g.as(t, name), "lab", injected(t, "alice")), noAccess)
	}
	g.parameters(t, `{"metadata": {"annotations": {"ownHomes": "Yes", "ownHomePrefix": "oidc:", "ownHomeSuffix": "@corp.example"}}}`,
		`{"metadata": {"annotations": {"ownHomes": "No", "ownHomePrefix": "", "ownHomeSuffix": ""}}}`)
	assert.NoError(t, create(t.Context(), g.as(t, alice), "lab", injected(t, "alice")))
	assertRefused(t, create(t.Context(), g.as(t, alice), "lab", injected(t, "alic")), noAccess)
	for _, name := range []string{"oidc:alice@other.example", "alice@corp.example", "oidc:alice", "alice",
		"oidc:alice2@corp.example", "oidc:Alice@corp.example"} {
		assertRefused(t, create(t.Context(), g.as(t, name), "lab", injected(t, "alice")), noAccess)
	}
	pod := keep(t, g.as(t, alice), injected(t, "alice"))
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "d", Image: "x", SecurityContext: &corev1.SecurityContext{RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}}}}
	_, err := g.as(t, alice).CoreV1().Pods("lab").UpdateEphemeralContainers(t.Context(), pod.Name, pod, metav1.UpdateOptions{})
	assert.NoError(t, err, "their own home is theirs to debug")
}

func actsForOthers(t *testing.T, g *guarded) {
	const argo = "system:serviceaccount:argocd:controller"
	g.allow(t, "lab", argo, withPods, mayUse())
	require.NoError(t, create(t.Context(), g.as(t, argo), "lab", injected(t, "alice")))
	g.parameters(t, `{"metadata": {"annotations": {"controllers": "`+argo+`"}}}`, `{"metadata": {"annotations": {"controllers": ""}}}`)
	assertRefused(t, create(t.Context(), g.as(t, argo), "lab", injected(t, "alice")), noAccess)
}

func podSecurityOff(t *testing.T, g *guarded) {
	assertRefused(t, create(t.Context(), g.carol, "open", injected(t, "alice")), "node/NamespaceUnguarded")
	g.parameters(t, `{"metadata": {"annotations": {"podSecurity": "off"}}}`, `{"metadata": {"annotations": {"podSecurity": "baseline"}}}`)
	assert.NoError(t, create(t.Context(), g.carol, "open", injected(t, "alice")))
	shared := injected(t, "alice")
	shareProcesses(shared)
	assertRefused(t, create(t.Context(), g.carol, "open", shared), "node/HostShared")
}

// parametersMissing: everything is refused that the policies with parameters are asked for, notebook or not; what became of
// a pod can still be said. So they are kept from being deleted, and who wants to must take that rule away first.
func parametersMissing(t *testing.T, g *guarded) {
	pod := keep(t, g.carol, injected(t, "alice"))
	admin := g.admin(t)
	parameters := admin.RbacV1().Roles("jupyter-user-system")
	require.ErrorContains(t, parameters.Delete(t.Context(), "jupyter-user-policy", metav1.DeleteOptions{}), "ParametersInUse: ")
	require.NoError(t, admin.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(),
		"parameters.jupyter-user.io", metav1.DeleteOptions{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NoError(c, parameters.Delete(t.Context(), "jupyter-user-policy", metav1.DeleteOptions{}))
	}, wait, wait/100)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.ErrorContains(c, create(t.Context(), g.carol, "lab", injected(t, "alice")), "no params found")
	}, wait, wait/100)
	assert.ErrorContains(t, create(t.Context(), g.bob, "lab", plain()), "no params found")
	_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.MergePatchType,
		[]byte(`{"status": {"message": "pulling"}}`), metav1.PatchOptions{}, "status")
	assert.NoError(t, err)
}

// TestParametersAgreeWithTheConfiguration: what the policies take for ours is what the webhook makes.
func TestParametersAgreeWithTheConfiguration(t *testing.T) {
	parameters := &rbacv1.Role{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(manifests(t, "60-policy-parameters.yaml")[0]), parameters))
	configured := &corev1.ConfigMap{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(manifests(t, "20-configmap.yaml")[0]), configured))
	c, err := config.Parse([]byte(configured.Data["config.yaml"]))
	require.NoError(t, err)
	for key, value := range c.PolicyParameters() {
		assert.Equal(t, value, parameters.Annotations[key], key)
	}
}
