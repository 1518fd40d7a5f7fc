package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
)

// checkAccess tests the command "check access". The command reports whether a requester may run Pods as a user, or which
// requesters may. The output names the binding that gives the right.
func checkAccess(t *testing.T, l *checkedCluster) {
	createUntilEnd(role("lab", "night", []string{"alice"}, "run-as"), localBinding("lab", "night", serviceAccount("lab", "night")),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "night"}},
		roleBinding("lab", "hub", "jupyter-user-use-every-home", serviceAccount("lab", "hub")),
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "pods"}, Rules: []rbacv1.PolicyRule{withPods}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "jobs"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"batch"}, Resources: []string{"cronjobs"}, Verbs: []string{"create"}}}},
		roleBinding("lab", "fay", "jobs", userSubject("fay")),
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "patches"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"}}}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "updates"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"update"}}}},
		roleBinding("lab", "gil", "patches", userSubject("gil")), roleBinding("lab", "hal", "updates", userSubject("hal")),
		roleBinding("lab", "hub-pods", "pods", serviceAccount("lab", "hub")),
		roleBinding("lab", "staff", "jupyter-user-use-every-home", groupSubject("staff")),
		roleBinding("lab", "staff-pods", "pods", groupSubject("staff")),
		roleBinding("lab", "dave", "pods", userSubject("dave")),
		roleBinding("lab", "controller", "cluster-admin", serviceAccount("kube-system", "job-controller")))(t, l)
	for name, q := range map[string]struct {
		as, user string
		groups   []string
		may      bool
		message  string
		via      string
	}{
		"a requester with the right":          {as: "carol", user: "qiang.guo03", may: true, message: "carol may be qiang.guo03", via: "use carol RBAC: allowed by RoleBinding \"allow-"},
		"a requester without the right":       {as: "carol", user: "bob", message: "ask the admin for a role with the verb use on homes.jupyter-user.io named bob"},
		"a member of a group":                 {as: "erin", groups: []string{"staff"}, user: "bob", may: true, via: `use erin RBAC: allowed by RoleBinding "staff/lab"`},
		"a hub":                               {as: "system:serviceaccount:lab:hub", user: "bob", may: true, via: `RBAC: allowed by RoleBinding "hub/lab"`},
		"a requester of Pods":                 {as: "dave", user: "alice", may: true, via: `run-as ServiceAccount lab/night RBAC: allowed by RoleBinding "night/lab"`},
		"a requester of CronJobs":             {as: "fay", user: "alice", may: true, via: "run-as ServiceAccount lab/night"},
		"a requester who only patches":        {as: "gil", user: "alice", may: true, via: "run-as ServiceAccount lab/night"},
		"a requester who only updates":        {as: "hal", user: "alice", may: true, via: "run-as ServiceAccount lab/night"},
		"a requester without Pods":            {as: "mallory", user: "alice", message: "mallory has the right to the home of alice in namespace lab, but not to create Pods there"},
		"the right to the home alone":         {as: "alice@corp.example", user: "alice", message: "but not to create Pods there", via: `use alice@corp.example RBAC`},
		"a controller with every right":       {as: "system:serviceaccount:kube-system:job-controller", user: "bob", message: "never counts"},
		"all requesters with the right":       {user: "alice", may: true, message: "these may be alice", via: "run-as ServiceAccount lab/night RoleBinding lab/night"},
		"all requesters, with a hub":          {user: "bob", may: true, via: "use ServiceAccount lab/hub RoleBinding lab/hub"},
		"all requesters, with cluster admins": {user: "bob", may: true, via: "use Group system:masters ClusterRoleBinding cluster-admin"},
	} {
		t.Run(name, func(t *testing.T) {
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				a, err := check.Access(t.Context(), l.look, check.AccessQuery{Requester: q.as, Groups: q.groups, User: q.user, Namespace: "lab"})
				require.NoError(c, err)
				assert.Equal(c, q.may, a.May, a.Message)
				assert.Contains(c, a.Message, q.message)
				rights := ""
				for _, right := range a.Rights {
					rights += right.Verb + " " + right.Who + " " + right.Through + "\n"
				}
				assert.Contains(c, rights, q.via)
				assert.NotContains(c, rights, "job-controller")
			}, wait, wait/100)
		})
	}
	t.Run("further rules", func(t *testing.T) { accessByOtherRules(t, l) })
	changeRecord("ownHomes", map[string]any{"enabled": true, "prefix": "", "suffix": ""})(t, l)
	a, err := check.Access(t.Context(), l.look, check.AccessQuery{Requester: "dave", User: "dave", Namespace: "lab"})
	require.NoError(t, err)
	assert.True(t, a.May, "%+v", a)
}

// accessByOtherRules tests the command "check access" in cases that depend on more than the right: on the Pod Security
// level of the namespace, on whether the webhook serves the namespace, and on whether the user's name is valid.
func accessByOtherRules(t *testing.T, l *checkedCluster) {
	createOpenNamespace(t, l)
	createUntilEnd(roleBinding("open", "dave", "pods", userSubject("dave")), roleBinding("open", "erin", "pods", userSubject("erin")),
		role("open", "alice", []string{"alice"}, "use"), localBinding("open", "alice", userSubject("dave")),
		roleBinding("open", "every", "jupyter-user-use-every-home", userSubject("erin")),
		roleBinding("kube-system", "every", "jupyter-user-use-every-home", userSubject("erin")),
		roleBinding("kube-system", "erin", "pods", userSubject("erin")),
		roleBinding("lab", "erin-all", "jupyter-user-use-every-home", userSubject("erin")),
		roleBinding("lab", "erin-pods", "pods", userSubject("erin")))(t, l)
	type query struct {
		as, user, namespace string
		may                 bool
		message             string
	}
	assertAccess := func(t *testing.T, q query) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			a, err := check.Access(t.Context(), l.look, check.AccessQuery{Requester: q.as, User: q.user, Namespace: q.namespace})
			require.NoError(c, err)
			assert.Equal(c, q.may, a.May, a.Message)
			assert.Contains(c, a.Message, q.message)
		}, wait, wait/100)
	}
	const unguarded = "notebooks are denied in namespace open, which enforces the Pod Security Standard privileged (NamespaceUnguarded)"
	for name, q := range map[string]query{
		"below baseline":                                 {"dave", "alice", "open", false, unguarded},
		"below baseline, without the right":              {"dave", "bob", "open", false, "; and then " + unguarded},
		"below baseline, with every home":                {"erin", "bob", "open", true, "erin may be bob"},
		"below baseline, all requesters":                 {"", "bob", "open", true, "these may be bob"},
		"a namespace that is not served":                 {"erin", "bob", "kube-system", false, "NamespaceUnserved"},
		"a namespace that is not served, all requesters": {"", "bob", "kube-system", false, "NamespaceUnserved"},
		"a reserved name":                                {"erin", "root", "lab", false, "root"},
		"a name in upper case":                           {"erin", "Alice", "lab", false, "lower case"},
		"a path as name, all requesters":                 {"", "../bob", "lab", false, "leading dot"},
		"a valid name, with every home":                  {"erin", "bob", "lab", true, ""},
	} {
		t.Run(name, func(t *testing.T) { assertAccess(t, q) })
	}
	a, err := check.Access(t.Context(), l.look, check.AccessQuery{User: "alice", Namespace: "open"})
	require.NoError(t, err)
	for _, right := range a.Rights {
		assert.NotEqual(t, "User dave", right.Who, "the right to one home is not enough there")
	}
	_, err = check.Access(t.Context(), l.look, check.AccessQuery{Requester: "erin", User: "alice", Namespace: "nosuch"})
	require.EqualError(t, err, "there is no namespace nosuch")
	changeRecord("podSecurity", "off")(t, l)
	assertAccess(t, query{"dave", "alice", "open", true, ""})
	changeRecord("onlyNamespaces", "lab")(t, l)
	assertAccess(t, query{"mallory", "bob", "open", false, "onlyNamespaces leaves out namespace open, so everyone who may create Pods " +
		"there can be any user. If it were listed: mallory may not use the home of bob"})
	assertAccess(t, query{"erin", "bob", "lab", true, "erin may be bob"})
}
