package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
)

func checkWithoutRights(t *testing.T, l *checkedCluster) {
	look, err := check.Connect(l.carol.Kubeconfig, "")
	require.NoError(t, err)
	findings, err := check.Run(t.Context(), look, check.Options{User: "alice", Manifest: l.manifest})
	require.NoError(t, err)
	for _, f := range findings {
		assert.Equal(t, check.Unknown, f.Status, "%+v", f)
		assert.Contains(t, f.Message, `User "carol" cannot`)
		assert.Contains(t, f.Message, "deploy/examples/checker.yaml")
	}
	require.Error(t, check.Judge(findings))
	_, err = check.Access(t.Context(), look, check.AccessQuery{Requester: "carol", User: "alice", Namespace: "lab"})
	require.ErrorContains(t, err, `User "carol" cannot list`)
}

// checkWithRights tests that the ClusterRole of deploy/examples/checker.yaml is enough for the check command with a
// manifest, and allows no write except the creation of access reviews.
func checkWithRights(t *testing.T, l *checkedCluster) {
	require.NoError(t, l.Admin.Do(t.Context(), "", "apply", "-f", examples+"checker.yaml"))
	user, err := l.User("oscar@corp.example")
	require.NoError(t, err)
	look, err := check.Connect(user.Kubeconfig, "")
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		findings, err := check.Run(t.Context(), look, check.Options{User: "alice", Manifest: l.manifest})
		require.NoError(c, err)
		for _, f := range findings {
			assert.NotContains(c, f.Message, "unknown without the right to read", "%+v", f)
		}
		_, err = check.Access(t.Context(), look, check.AccessQuery{Requester: "carol", User: "alice", Namespace: "lab"})
		assert.NoError(c, err)
	}, wait, wait/100)
	findings, err := check.Run(t.Context(), look, check.Options{Only: []string{"webhooks", "policies"}})
	require.NoError(t, err)
	require.Len(t, findings, 2)
	for _, f := range findings {
		assert.Equal(t, check.Unknown, f.Status)
		assert.Contains(t, f.Message, "jupyter-user-webhook check -f -, or have it read Helm's record of the release: ")
		assert.Contains(t, f.Message, `User "oscar@corp.example" cannot list resource "secrets"`)
	}
	policyWith("access.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) { p.Spec.FailurePolicy = new(admissionv1.Ignore) })(t, l)
	findings, err = check.Run(t.Context(), look, check.Options{Only: []string{"policies"}, Manifest: l.manifest})
	require.NoError(t, err)
	assertFound(t, findings, "policies", check.Failed, `spec.failurePolicy is "Ignore", not "Fail" (without the right to update it`)
	assertFound(t, findings, "policies", check.OK, "15 ValidatingAdmissionPolicyBindings")
	var role rbacv1.ClusterRole
	require.NoError(t, l.Get(t.Context(), client.ObjectKey{Name: "jupyter-user-checker"}, &role))
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			writes := verb != "get" && verb != "list"
			assert.False(t, writes && (verb != "create" || rule.APIGroups[0] != "authorization.k8s.io"), "%v", rule)
		}
	}
}
