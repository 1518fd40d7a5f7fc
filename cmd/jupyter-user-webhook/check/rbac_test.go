package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var everyRight = rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}

func rule(resource, verb string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: names}
}

func subject(kind, namespace, name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: kind, Namespace: namespace, Name: name}
}

// clusterWithBinding returns a cluster with one binding: a RoleBinding in the namespace, or a ClusterRoleBinding if the
// namespace is empty.
func clusterWithBinding(namespace string, subject rbacv1.Subject, rules ...rbacv1.PolicyRule) *state {
	s := &state{}
	s.clusterRoles.Items = []rbacv1.ClusterRole{{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: rules}}
	ref := rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}
	if namespace == "" {
		s.clusterRoleBindings.Items = []rbacv1.ClusterRoleBinding{{ObjectMeta: metav1.ObjectMeta{Name: "b"}, RoleRef: ref,
			Subjects: []rbacv1.Subject{subject}}}
		return s
	}
	s.roleBindings.Items = []rbacv1.RoleBinding{{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "b"}, RoleRef: ref,
		Subjects: []rbacv1.Subject{subject}}}
	return s
}

func TestRBAC(t *testing.T) {
	hub := subject("ServiceAccount", "lab", "hub")
	for name, c := range map[string]struct {
		namespace string
		subject   rbacv1.Subject
		rule      rbacv1.PolicyRule
		status    Status
		says      string
	}{
		"one home": {"lab", subject("User", "", "carol"), rule(homes, use, "alice"), OK, "single homes " +
			"are given by name through 1 binding"},
		"every home, a hub": {"lab", hub, rule(homes, use), Warning, "RoleBinding lab/b: may be any user: " +
			"ServiceAccount lab/hub may use every home in namespace lab"},
		"every home everywhere": {"", subject("User", "", "root"), rule(homes, use), Warning, "User root may use every home in every namespace"},
		"every right, an admin": {"", subject("Group", "", "admins"), everyRight, Warning, "may be any user: Group " +
			"admins in every namespace, by a rule that gives every right (ClusterRole r)"},
		"every right for all users": {"", subject("Group", "", "system:authenticated"), everyRight, Failed, "gives use " +
			"every home in every namespace to Group system:authenticated"},
		"a home for all users":           {"lab", subject("Group", "", "system:authenticated"), rule(homes, use, "alice"), Failed, "gives use the homes of alice in namespace lab"},
		"a home for anonymous":           {"lab", subject("User", "", "system:anonymous"), rule(homes, use, "alice"), Failed, "User system:anonymous"},
		"a home for all ServiceAccounts": {"lab", subject("Group", "", "system:serviceaccounts:lab"), rule(homes, use, "alice"), Failed, "Group system:serviceaccounts:lab"},
		"run-as one home":                {"lab", subject("ServiceAccount", "lab", "job"), rule(homes, runAs, "alice"), OK, "through 1 binding"},
		"run-as every home": {"lab", subject("ServiceAccount", "lab", "job"), rule(homes, runAs), Failed, "lets " +
			"anyone who can create Pods in namespace lab be any user, by ServiceAccount lab/job"},
		"run-as, by the user's name":  {"lab", subject("User", "", "system:serviceaccount:lab:job"), rule(homes, runAs), Failed, "by ServiceAccount lab/job"},
		"run-as, without a namespace": {"lab", subject("ServiceAccount", "", "job"), rule(homes, runAs), Failed, "by ServiceAccount lab/job"},
		"run-as everywhere":           {"", subject("ServiceAccount", "lab", "job"), rule(homes, runAs), Failed, "in namespace lab be any user"},
		"run-as of another namespace": {"lab", subject("ServiceAccount", "web", "job"), rule(homes, runAs), Warning, "which never counts"},
		"run-as for a user": {"lab", subject("User", "", "carol"), rule(homes, runAs), Warning, "gives run-as to " +
			"User carol in namespace lab, which never counts"},
		"every verb of homes":              {"lab", subject("ServiceAccount", "lab", "job"), rule(homes, "*"), Failed, "be any user"},
		"homes in every group":             {"lab", subject("ServiceAccount", "lab", "job"), rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"homes"}, Verbs: []string{"*"}}, Failed, "be any user"},
		"the share, a backup":              {"backup", subject("ServiceAccount", "backup", "backup"), rule(shares, runAs), Warning, "lets anyone who can create Pods in namespace backup read and change every home"},
		"the share for a user":             {"lab", subject("User", "", "ivan"), rule(shares, use), Warning, "User ivan may use the whole share"},
		"homes of another group":           {"lab", subject("Group", "", "system:authenticated"), rbacv1.PolicyRule{APIGroups: []string{"x"}, Resources: []string{"homes"}, Verbs: []string{"*"}}, Warning, "nobody is given a home yet"},
		"a verb other than use and run-as": {"lab", subject("Group", "", "system:authenticated"), rule(homes, "get"), Warning, "nobody is given a home yet"},
		"a subresource of homes":           {"lab", subject("Group", "", "system:authenticated"), rule("homes/x", "*"), Warning, "nobody is given a home yet"},
	} {
		t.Run(name, func(t *testing.T) {
			found := rbac(t.Context(), clusterWithBinding(c.namespace, c.subject, c.rule))
			assert.Equal(t, c.status, byStatus(found)[0].Status, "%+v", found)
			text := ""
			for _, f := range found {
				if f.Status == c.status {
					text += f.Where + ": " + f.Message + "\n"
				}
			}
			assert.Contains(t, text, c.says)
		})
	}
}

// TestNobodyHasAHome tests the warning that no right to a home is given. With access.ownHomes, nobody needs such a right.
func TestNobodyHasAHome(t *testing.T) {
	s := clusterWithBinding("lab", subject("User", "", "boss"), everyRight)
	assert.Contains(t, rbac(t.Context(), s)[1].Message, "nobody is given a home yet")
	s.parameters = map[string]string{"ownHomes": "Yes"}
	assert.Equal(t, ok("", "single homes are given by name through 0 bindings"), rbac(t.Context(), s)[1])
}

func TestHubWithRunAs(t *testing.T) {
	found := rbac(t.Context(), clusterWithBinding("lab", subject("ServiceAccount", "lab", "hub"), rule(homes, use), rule(homes, runAs, "alice")))
	assert.Equal(t, Failed, byStatus(found)[0].Status)
	assert.Contains(t, byStatus(found)[0].Message, "gives run-as to ServiceAccount lab/hub, which may use every home")
	found = rbac(t.Context(), clusterWithBinding("lab", subject("ServiceAccount", "lab", "argo"), everyRight))
	assert.Equal(t, Warning, byStatus(found)[0].Status, "a rule that gives every right has its own finding")
	assert.Len(t, found, 2)
}

// TestRuleWithEveryRight tests bindings of a rule that gives every right, and so includes run-as. The finding is Failed
// if the ServiceAccount is in a namespace with notebooks, where anyone who can create Pods could be any user. It is a
// Warning otherwise, and for kube-system and the webhook's namespace.
func TestRuleWithEveryRight(t *testing.T) {
	for name, c := range map[string]struct {
		namespace string
		subject   rbacv1.Subject
		status    Status
	}{
		"a ServiceAccount of lab":                           {"lab", subject("ServiceAccount", "lab", "argo"), Failed},
		"the user name of a ServiceAccount":                 {"lab", subject("User", "", "system:serviceaccount:lab:argo"), Failed},
		"a ClusterRoleBinding":                              {"", subject("ServiceAccount", "lab", "argo"), Failed},
		"the group of all ServiceAccounts of lab":           {"lab", subject("Group", "", "system:serviceaccounts:lab"), Failed},
		"a ServiceAccount of a namespace without notebooks": {"", subject("ServiceAccount", "argo", "argo"), Warning},
		"a ServiceAccount of another namespace":             {"lab", subject("ServiceAccount", "argo", "argo"), Warning},
		"a ServiceAccount of kube-system":                   {"", subject("ServiceAccount", "kube-system", "x"), Warning},
		"a ServiceAccount of the webhook's namespace":       {"", subject("ServiceAccount", systemNamespace, "x"), Warning},
		"a user": {"lab", subject("User", "", "boss"), Warning},
	} {
		t.Run(name, func(t *testing.T) {
			s := clusterWithBinding(c.namespace, c.subject, everyRight)
			s.parameters, s.Namespaces = map[string]string{"claims": "c"}, []string{"kube-system", systemNamespace}
			s.claims.Items = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "c"}}}
			found := byStatus(rbac(t.Context(), s))
			assert.Equal(t, c.status, found[0].Status, "%+v", found)
		})
	}
	listed := clusterWithBinding("", subject("ServiceAccount", "argocd", "argo"), everyRight)
	assert.Contains(t, rbac(t.Context(), listed)[0].Message, "if it creates Pods for others, name it in access.controllers")
	listed.parameters = map[string]string{"controllers": "system:serviceaccount:argocd:argo"}
	for _, f := range rbac(t.Context(), listed) {
		assert.NotContains(t, f.Message, "may be any user", "the policies ignore the rights of a listed controller")
	}
	masters := rbac(t.Context(), clusterWithBinding("", subject("Group", "", "system:masters"), everyRight))
	assert.Contains(t, masters, ok("ClusterRoleBinding b", "may be any user: Group system:masters, whom no rule stops in any cluster"))
	s := clusterWithBinding("lab", subject("ServiceAccount", "lab", "argo"), everyRight)
	s.Namespaces = []string{"lab"}
	found := byStatus(rbac(t.Context(), s))
	assert.Len(t, found, 2, "one finding, and the finding about single homes")
	assert.Contains(t, found[0].Message, "lets anyone who can create Pods in the namespace of ServiceAccount lab/argo be any user")
}

func TestAggregated(t *testing.T) {
	s := clusterWithBinding("lab", subject("User", "", "carol"), rule(homes, use, "alice"))
	s.clusterRoles.Items[0].Labels = map[string]string{"team": "x"}
	s.clusterRoles.Items = append(s.clusterRoles.Items, rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "team"},
		AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"team": "x"}}}}})
	assertOneFinding(t, s.aggregated(), Failed, "ClusterRole r: has rights to homes and is aggregated into the ClusterRole team")
	s.clusterRoles.Items[0].Labels = nil
	assert.Empty(t, s.aggregated())
}

// TestAroundPolicies tests that rights that bypass the policies give a warning, which names the subject.
func TestAroundPolicies(t *testing.T) {
	writes := rbacv1.PolicyRule{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"create"}}
	reads := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "pods/log"}, Verbs: []string{"get", "list"}}
	with := func(rule rbacv1.PolicyRule, verbs ...string) rbacv1.PolicyRule {
		rule.Verbs = verbs
		return rule
	}
	on := func(rule rbacv1.PolicyRule, groups, resources string) rbacv1.PolicyRule {
		rule.APIGroups, rule.Resources = []string{groups}, []string{resources}
		return rule
	}
	const wire, logs = "may write NetworkPolicies in namespaces with notebooks", "may read logs of Pods in namespaces with notebooks"
	for name, c := range map[string]struct {
		namespace string
		subject   rbacv1.Subject
		rule      rbacv1.PolicyRule
		says      string
	}{
		"creates NetworkPolicies":             {"lab", subject("User", "", "eve"), writes, wire},
		"deletes NetworkPolicies":             {"lab", subject("User", "", "eve"), with(writes, "deletecollection"), wire},
		"a ClusterRoleBinding":                {"", subject("Group", "", "staff"), with(writes, "patch"), wire},
		"every resource of every group":       {"lab", subject("User", "", "eve"), on(with(writes, "update"), "*", "*"), wire},
		"reads NetworkPolicies":               {"lab", subject("User", "", "eve"), with(writes, "get", "list", "watch"), ""},
		"in a namespace without notebooks":    {"web", subject("User", "", "eve"), writes, ""},
		"a controller of kube-system":         {"", subject("ServiceAccount", "kube-system", "namespace-controller"), with(writes, "delete"), ""},
		"a rule that gives every right":       {"", subject("User", "", "boss"), everyRight, ""},
		"reads logs":                          {"lab", subject("User", "", "eve"), reads, logs},
		"reads the log of everything":         {"lab", subject("User", "", "eve"), on(reads, "", "*/log"), logs},
		"reads Pods and no logs":              {"lab", subject("User", "", "eve"), on(reads, "", "pods"), ""},
		"lists logs":                          {"lab", subject("User", "", "eve"), with(reads, "list"), ""},
		"reads logs of another group's pods":  {"lab", subject("User", "", "eve"), on(reads, "metrics.k8s.io", "pods/log"), ""},
		"reads logs, a ServiceAccount of lab": {"lab", subject("ServiceAccount", "", "shipper"), reads, logs},
	} {
		t.Run(name, func(t *testing.T) {
			found := clusterWithBinding(c.namespace, c.subject, c.rule).aroundPolicies([]string{"lab"})
			if c.says == "" {
				assert.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			assert.Equal(t, Warning, found[0].Status)
			assert.Contains(t, found[0].Where, c.subject.Name)
			assert.Contains(t, found[0].Message, c.says)
		})
	}
	assert.Empty(t, clusterWithBinding("lab", subject("User", "", "eve"), writes).aroundPolicies(nil), "no namespace has notebooks")
}

// TestRolesByName tests that a Role belongs to its namespace, and differs from a ClusterRole with the same name.
func TestRolesByName(t *testing.T) {
	s := clusterWithBinding("lab", subject("User", "", "carol"), rule(homes, use))
	s.roles.Items = []rbacv1.Role{{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "r"}, Rules: []rbacv1.PolicyRule{rule(homes, runAs)}}}
	s.roleBindings.Items[0].RoleRef.Kind = "Role"
	assert.Empty(t, s.grants())
	s.roles.Items[0].Namespace = "lab"
	require.Len(t, s.grants(), 1)
	assert.Equal(t, "Role r", s.grants()[0].role)
}

// TestRunAsOfGroups tests in which namespace a group's right to run-as has an effect. Only a group of ServiceAccounts can use
// the right.
func TestRunAsOfGroups(t *testing.T) {
	for name, namespace := range map[string]string{
		"system:serviceaccounts": "lab", "system:serviceaccounts:lab": "lab", "system:serviceaccounts:web": "",
		"system:authenticated": "", "system:unauthenticated": "", "system:masters": "",
	} {
		runsIn, applies := grant{subject: subject("Group", "", name), namespace: "lab"}.runsIn()
		assert.Equal(t, namespace != "", applies, name)
		if applies {
			assert.Equal(t, namespace, runsIn, name)
		}
	}
	_, applies := grant{subject: subject("User", "", "system:anonymous"), namespace: "lab"}.runsIn()
	assert.False(t, applies, "system:anonymous")
}

func TestRequesters(t *testing.T) {
	s := &state{parameters: map[string]string{"controllers": "argo other"}}
	for name, applies := range map[string]bool{
		"carol": true, "system:serviceaccount:jhub:hub": true, "system:serviceaccount:kube-system:job-controller": false,
		"system:node:n1": false, "system:kube-controller-manager": false, "system:kube-scheduler": false, "argo": false, "arg": true,
	} {
		assert.Equal(t, applies, s.rightsApply(name), name)
	}
	assert.Equal(t, []string{"g", "system:serviceaccounts", "system:serviceaccounts:jhub", "system:authenticated"},
		groupsOf("system:serviceaccount:jhub:hub", []string{"g"}))
	assert.Equal(t, []string{"system:authenticated"}, groupsOf("carol", nil))
	assert.Equal(t, []string{"system:unauthenticated"}, groupsOf("system:anonymous", nil))
}

func TestOwnHomes(t *testing.T) {
	s := &state{parameters: map[string]string{"ownHomes": "Yes", "ownHomePrefix": "oidc:", "ownHomeSuffix": "@corp.example"}}
	assert.True(t, s.isOwnHome(AccessQuery{Requester: "oidc:alice@corp.example", User: "alice"}))
	assert.False(t, s.isOwnHome(AccessQuery{Requester: "alice", User: "alice"}))
	assert.False(t, s.isOwnHome(AccessQuery{Requester: "oidc:@corp.example"}))
	s.parameters["ownHomes"] = "No"
	assert.False(t, s.isOwnHome(AccessQuery{Requester: "oidc:alice@corp.example", User: "alice"}))
}
