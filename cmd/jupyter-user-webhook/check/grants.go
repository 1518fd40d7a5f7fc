package check

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// The API group, the virtual resources and the verbs of the rights that the policies check.
const (
	group  = "jupyter-user.io"
	homes  = "homes"
	shares = "shares"
	use    = "use"
	runAs  = "run-as"
)

// grant is one right that one binding gives to one subject.
type grant struct {
	// binding and role are texts for messages: the kind and the name, such as RoleBinding lab/carol.
	binding, role string
	subject       rbacv1.Subject
	// namespace is where the right applies; empty for all namespaces.
	namespace string
	verb      string
	resource  string
	// names are the homes or claims that the rule names; empty for all.
	names []string
	// wildcard is set if the rule gives every verb on every resource.
	wildcard bool
}

func (g grant) where() string {
	if g.namespace == "" {
		return "every namespace"
	}
	return "namespace " + g.namespace
}

// covers reports whether the grant includes the home, or the claim of the share, that has the given name.
func (g grant) covers(name string) bool { return len(g.names) == 0 || slices.Contains(g.names, name) }

// grants returns all rights to homes and shares by RBAC. It cannot see the rights that other authorizers give.
func (s *state) grants() []grant { return s.collectGrants(rights) }

// collectGrants returns the grants of all RBAC bindings. The parameter rights is a function that returns the rights in the
// rules of a role, as grants without binding and subject.
func (s *state) collectGrants(rights func([]rbacv1.PolicyRule) []grant) (found []grant) {
	cluster, namespaced := map[string][]rbacv1.PolicyRule{}, map[string][]rbacv1.PolicyRule{}
	for _, role := range s.clusterRoles.Items {
		cluster[role.Name] = role.Rules
	}
	for _, role := range s.roles.Items {
		namespaced[role.Namespace+"/"+role.Name] = role.Rules
	}
	for _, b := range s.clusterRoleBindings.Items {
		given := grant{binding: "ClusterRoleBinding " + b.Name, role: "ClusterRole " + b.RoleRef.Name}
		found = append(found, given.forEachSubject(b.Subjects, rights(cluster[b.RoleRef.Name]))...)
	}
	for _, b := range s.roleBindings.Items {
		given := grant{binding: "RoleBinding " + b.Namespace + "/" + b.Name, role: b.RoleRef.Kind + " " + b.RoleRef.Name,
			namespace: b.Namespace}
		rules := cluster[b.RoleRef.Name]
		if b.RoleRef.Kind == "Role" {
			rules = namespaced[b.Namespace+"/"+b.RoleRef.Name]
		}
		for i := range b.Subjects {
			// As in RBAC, a ServiceAccount without a namespace is in the namespace of the binding.
			if b.Subjects[i].Kind == rbacv1.ServiceAccountKind && b.Subjects[i].Namespace == "" {
				b.Subjects[i].Namespace = b.Namespace
			}
		}
		found = append(found, given.forEachSubject(b.Subjects, rights(rules))...)
	}
	return found
}

// forEachSubject returns one grant for each pair of a subject and a right. Each grant has the binding, role and namespace
// of g.
func (g grant) forEachSubject(subjects []rbacv1.Subject, rights []grant) (found []grant) {
	for _, right := range rights {
		for _, subject := range subjects {
			right.binding, right.role, right.namespace, right.subject = g.binding, g.role, g.namespace, subject
			found = append(found, right)
		}
	}
	return found
}

// rights returns the rights to homes and shares in the rules of a role, as grants without binding and subject.
func rights(rules []rbacv1.PolicyRule) (found []grant) {
	for _, rule := range rules {
		for _, resource := range []string{homes, shares} {
			for _, verb := range []string{use, runAs} {
				if allows(rule, group, resource, verb) {
					found = append(found, grant{resource: resource, verb: verb, names: rule.ResourceNames, wildcard: givesEveryRight(rule)})
				}
			}
		}
	}
	return found
}

// givesEveryRight reports whether a rule gives every verb on every resource.
func givesEveryRight(rule rbacv1.PolicyRule) bool {
	return slices.Contains(rule.APIGroups, "*") && slices.Contains(rule.Resources, "*") && slices.Contains(rule.Verbs, "*")
}

func allows(rule rbacv1.PolicyRule, group, resource, verb string) bool {
	has := func(list []string, value string) bool {
		return slices.Contains(list, "*") || slices.Contains(list, value)
	}
	_, subresource, is := strings.Cut(resource, "/")
	return has(rule.APIGroups, group) && has(rule.Verbs, verb) &&
		(has(rule.Resources, resource) || is && slices.Contains(rule.Resources, "*/"+subresource))
}

const accountPrefix = "system:serviceaccount:"

// serviceAccountOf returns the namespace and name of a subject that is a ServiceAccount, or that is the User of a
// ServiceAccount (system:serviceaccount:<namespace>:<name>).
func serviceAccountOf(subject rbacv1.Subject) (namespace, name string, is bool) {
	if subject.Kind == rbacv1.ServiceAccountKind {
		return subject.Namespace, subject.Name, true
	}
	rest, is := strings.CutPrefix(subject.Name, accountPrefix)
	if !is || subject.Kind != rbacv1.UserKind {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// accountGroup reports whether a subject is a group of ServiceAccounts, and returns their namespace; empty for all
// namespaces.
func accountGroup(subject rbacv1.Subject) (namespace string, is bool) {
	if subject.Kind != rbacv1.GroupKind {
		return "", false
	}
	if subject.Name == "system:serviceaccounts" {
		return "", true
	}
	return strings.CutPrefix(subject.Name, "system:serviceaccounts:")
}

// isEveryone reports whether a subject is a group of ServiceAccounts, the group of authenticated or of anonymous
// requesters, or the anonymous requester.
func isEveryone(subject rbacv1.Subject) bool {
	if _, is := accountGroup(subject); is {
		return true
	}
	return slices.Contains([]string{"system:authenticated", "system:unauthenticated", "system:anonymous"}, subject.Name)
}

func subjectText(subject rbacv1.Subject) string {
	if namespace, name, is := serviceAccountOf(subject); is {
		return "ServiceAccount " + namespace + "/" + name
	}
	return subject.Kind + " " + subject.Name
}

// requesterOf returns the user name of a subject that is a user or a ServiceAccount; empty for a group.
func requesterOf(subject rbacv1.Subject) string {
	if namespace, name, is := serviceAccountOf(subject); is {
		return accountPrefix + namespace + ":" + name
	}
	if subject.Kind == rbacv1.UserKind {
		return subject.Name
	}
	return ""
}

// runsIn returns the namespace in which ServiceAccounts have a run-as right; empty for every namespace. Only a
// ServiceAccount can use run-as. If applies is false, the right has no effect: the subject is neither a ServiceAccount nor a
// group of ServiceAccounts, or its ServiceAccounts are in another namespace than the binding.
func (g grant) runsIn() (namespace string, applies bool) {
	if accountNamespace, _, is := serviceAccountOf(g.subject); is {
		return accountNamespace, g.namespace == "" || g.namespace == accountNamespace
	}
	accountNamespace, is := accountGroup(g.subject)
	switch {
	case !is: // Also for system:authenticated: the policies check a ServiceAccount without this group.
		return "", false
	case accountNamespace == "":
		return g.namespace, true
	}
	return accountNamespace, g.namespace == "" || g.namespace == accountNamespace
}

// runsBesideNotebooks reports whether a grant is for every home, and its subject includes a ServiceAccount of a namespace
// with notebooks. Anyone who can create Pods there can use such a ServiceAccount, and so its right to run-as.
// runsBesideNotebooks returns false for kube-system and the webhook's namespace, where only admins should create Pods.
func (g grant) runsBesideNotebooks(notebooks []string) bool {
	namespace, applies := g.runsIn()
	return applies && len(g.names) == 0 && namespace != "kube-system" && namespace != systemNamespace &&
		slices.Contains(notebooks, namespace)
}
