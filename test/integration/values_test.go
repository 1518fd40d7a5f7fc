package integration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// installValues installs the policies for other chart values until the test ends.
func (g *guarded) installValues(t *testing.T, values string) {
	t.Helper()
	installPoliciesFor(t.Context(), t, g.ControlPlane, values)
	t.Cleanup(func() { installPoliciesFor(context.Background(), t, g.ControlPlane, "") })
}

func ownHomes(t *testing.T, g *guarded) {
	const alice = "oidc:alice@corp.example"
	for _, name := range []string{alice, "oidc:alice@other.example", "alice@corp.example", "oidc:alice", "alice",
		"oidc:alice2@corp.example", "oidc:Alice@corp.example"} {
		g.allow(t, "lab", name, withPods)
		assertDenied(t, create(t.Context(), g.clientOf(t, name), "lab", injected(t, "alice")), noAccess)
	}
	g.installValues(t, "{access: {ownHomes: {enabled: true, prefix: 'oidc:', suffix: '@corp.example'}}}")
	assert.NoError(t, create(t.Context(), g.clientOf(t, alice), "lab", injected(t, "alice")))
	assertDenied(t, create(t.Context(), g.clientOf(t, alice), "lab", injected(t, "alic")), noAccess)
	for _, name := range []string{"oidc:alice@other.example", "alice@corp.example", "oidc:alice", "alice",
		"oidc:alice2@corp.example", "oidc:Alice@corp.example"} {
		assertDenied(t, create(t.Context(), g.clientOf(t, name), "lab", injected(t, "alice")), noAccess)
	}
	pod := createStored(t, g.clientOf(t, alice), injected(t, "alice"))
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "d", Image: "x", SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(5001)), RunAsGroup: new(int64(6001)),
			RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}}}}
	_, err := g.clientOf(t, alice).CoreV1().Pods("lab").UpdateEphemeralContainers(t.Context(), pod.Name, pod, metav1.UpdateOptions{})
	assert.NoError(t, err, "users may debug notebooks with their own home")
}

func controllersDenied(t *testing.T, g *guarded) {
	const argo = "system:serviceaccount:argocd:controller"
	g.allow(t, "lab", argo, withPods, mayUse())
	require.NoError(t, create(t.Context(), g.clientOf(t, argo), "lab", injected(t, "alice")))
	g.installValues(t, "{access: {controllers: ['"+argo+"']}}")
	assertDenied(t, create(t.Context(), g.clientOf(t, argo), "lab", injected(t, "alice")), noAccess)
	assertDenied(t, enlarge(t.Context(), g.clientOf(t, argo), boundShareClaim(t, g, "lab")), "claims/ShareClaim")
}

// schedulerRepeats tests that a scheduler that the value access.schedulers names may repeat the Pod's annotations in a Binding.
func schedulerRepeats(t *testing.T, g *guarded) {
	const volcano = "system:serviceaccount:volcano-system:volcano-scheduler"
	g.allow(t, "lab", volcano, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/binding"}, Verbs: []string{"create"}})
	pod := createStored(t, g.carol, injected(t, "alice"))
	bind := func() error {
		return g.clientOf(t, volcano).CoreV1().Pods("lab").Bind(t.Context(), &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: pod.Name, Annotations: pod.Annotations},
			Target:     corev1.ObjectReference{Kind: "Node", Name: "n"},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	}
	assertDenied(t, bind(), "bindings/BindingForeign")
	g.installValues(t, "{access: {schedulers: ['"+volcano+"']}}")
	assert.NoError(t, bind())
}

func podSecurityOff(t *testing.T, g *guarded) {
	assertDenied(t, create(t.Context(), g.carol, "open", injected(t, "alice")), "node/NamespaceUnguarded")
	g.installValues(t, "{podSecurity: 'off'}")
	assert.NoError(t, create(t.Context(), g.carol, "open", injected(t, "alice")))
	shared := injected(t, "alice")
	shareProcesses(shared)
	assertDenied(t, create(t.Context(), g.carol, "open", shared), "node/HostShared")
}
