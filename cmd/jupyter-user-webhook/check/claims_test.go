package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestNamespaceOfProgram tests a namespace with the share for a program, such as a backup. Such a namespace needs neither
// the further claims nor a level of Pod Security. With a right to homes, it is a namespace with notebooks.
func TestNamespaceOfProgram(t *testing.T) {
	with := func(rules ...rbacv1.PolicyRule) *state {
		s := clusterWithBinding("backup", subject("ServiceAccount", "backup", "backup"), rules...)
		s.config = config.Default()
		s.config.Share.Directories = []config.Directory{{ClaimName: "scratch", MountPath: "/scratch", Access: config.AccessReadWrite}}
		s.parameters = map[string]string{"claims": "hpc-shared-pvc scratch"}
		s.namespaces.Items = []corev1.Namespace{named("backup")}
		s.claims.Items = []corev1.PersistentVolumeClaim{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "backup", Name: "hpc-shared-pvc"},
			Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
		}}
		return s
	}
	assertOneFinding(t, claims(t.Context(), with(rule(shares, runAs))), OK, "the share's claim is bound in backup")
	assertOneFinding(t, podSecurity(t.Context(), with(rule(shares, runAs))), OK, "0 namespaces with notebooks")

	const lacks = "has no claim scratch, which has directories for notebooks"
	assertOneFinding(t, claims(t.Context(), with(rule(shares, runAs), rule(homes, use))), Failed, lacks)
	assertOneFinding(t, claims(t.Context(), with(everyRight)), Failed, lacks)
	assertOneFinding(t, claims(t.Context(), with(rule(shares, runAs), everyRight)), Failed, lacks)
	// By a ClusterRoleBinding, "backup" is a namespace with notebooks if the subject is a ServiceAccount of the namespace,
	// and not if the subject is a group of admins.
	everywhere := func(subject rbacv1.Subject, right rbacv1.PolicyRule) *state {
		s := with(rule(shares, runAs))
		s.clusterRoles.Items = append(s.clusterRoles.Items, rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Rules: []rbacv1.PolicyRule{right}})
		s.clusterRoleBindings.Items = []rbacv1.ClusterRoleBinding{{RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "e"}, Subjects: []rbacv1.Subject{subject}}}
		return s
	}
	argo := subject("ServiceAccount", "backup", "argo")
	assertOneFinding(t, claims(t.Context(), everywhere(argo, everyRight)), Failed, lacks)
	assertOneFinding(t, claims(t.Context(), everywhere(argo, rule(homes, runAs))), Failed, lacks)
	assertOneFinding(t, claims(t.Context(), everywhere(subject("Group", "", "admins"), everyRight)), OK, "the share's claim is bound in backup")
	asked := with(rule(shares, runAs))
	asked.Namespaces = []string{"backup"}
	assertOneFinding(t, claims(t.Context(), asked), Failed, lacks)
	found := podSecurity(t.Context(), with(rule(shares, runAs), rule(homes, use)))
	assert.Equal(t, Failed, found[0].Status)
}
