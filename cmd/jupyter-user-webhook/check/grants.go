package check

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// The virtual resources and verbs that the policies ask for.
const (
	group  = "jupyter-user.io"
	homes  = "homes"
	shares = "shares"
	use    = "use"
	runAs  = "run-as"
)

// grant is one right that one binding gives to one subject.
type grant struct {
	// binding and role are told as they are named: RoleBinding lab/carol.
	binding, role string
	subject       rbacv1.Subject
	// namespace in which it counts; empty for every one.
	namespace string
	verb      string
	resource  string
	// names of homes; empty for all of them.
	names []string
	// wildcard: a rule that gives everything, and this with it.
	wildcard bool
}

func (g grant) where() string {
	if g.namespace == "" {
		return "every namespace"
	}
	return "namespace " + g.namespace
}

// covers tells whether a home is one of the grant's.
func (g grant) covers(home string) bool { return len(g.names) == 0 || slices.Contains(g.names, home) }

// grants are all rights to homes and shares that RBAC gives. Other authorizers are not seen here.
func (s *state) grants() []grant { return s.given(rights) }

// given returns what RBAC gives to whom, of the rights that a function finds in rules.
func (s *state) given(rights func([]rbacv1.PolicyRule) []grant) (found []grant) {
	cluster, namespaced := map[string][]rbacv1.PolicyRule{}, map[string][]rbacv1.PolicyRule{}
	for _, role := range s.clusterRoles.Items {
		cluster[role.Name] = role.Rules
	}
	for _, role := range s.roles.Items {
		namespaced[role.Namespace+"/"+role.Name] = role.Rules
	}
	for _, b := range s.clusterRoleBindings.Items {
		given := grant{binding: "ClusterRoleBinding " + b.Name, role: "ClusterRole " + b.RoleRef.Name}
		found = append(found, given.spread(b.Subjects, rights(cluster[b.RoleRef.Name]))...)
	}
	for _, b := range s.roleBindings.Items {
		given := grant{binding: "RoleBinding " + b.Namespace + "/" + b.Name, role: b.RoleRef.Kind + " " + b.RoleRef.Name,
			namespace: b.Namespace}
		rules := cluster[b.RoleRef.Name]
		if b.RoleRef.Kind == "Role" {
			rules = namespaced[b.Namespace+"/"+b.RoleRef.Name]
		}
		for i := range b.Subjects {
			// As RBAC does: a ServiceAccount without a namespace is the binding's.
			if b.Subjects[i].Kind == rbacv1.ServiceAccountKind && b.Subjects[i].Namespace == "" {
				b.Subjects[i].Namespace = b.Namespace
			}
		}
		found = append(found, given.spread(b.Subjects, rights(rules))...)
	}
	return found
}

// spread makes one grant for each subject and right of a binding.
func (g grant) spread(subjects []rbacv1.Subject, rights []grant) (found []grant) {
	for _, right := range rights {
		for _, subject := range subjects {
			right.binding, right.role, right.namespace, right.subject = g.binding, g.role, g.namespace, subject
			found = append(found, right)
		}
	}
	return found
}

// rights of ours that rules give, to nobody yet.
func rights(rules []rbacv1.PolicyRule) (found []grant) {
	for _, rule := range rules {
		for _, resource := range []string{homes, shares} {
			for _, verb := range []string{use, runAs} {
				if gives(rule, group, resource, verb) {
					found = append(found, grant{resource: resource, verb: verb, names: rule.ResourceNames, wildcard: everything(rule)})
				}
			}
		}
	}
	return found
}

// everything reports whether a rule gives every verb on every resource.
func everything(rule rbacv1.PolicyRule) bool {
	return slices.Contains(rule.APIGroups, "*") && slices.Contains(rule.Resources, "*") && slices.Contains(rule.Verbs, "*")
}

func gives(rule rbacv1.PolicyRule, group, resource, verb string) bool {
	has := func(list []string, value string) bool {
		return slices.Contains(list, "*") || slices.Contains(list, value)
	}
	_, subresource, is := strings.Cut(resource, "/")
	return has(rule.APIGroups, group) && has(rule.Verbs, verb) &&
		(has(rule.Resources, resource) || is && slices.Contains(rule.Resources, "*/"+subresource))
}

const accountPrefix = "system:serviceaccount:"

// account is the ServiceAccount that a subject is, also where it is named as the user that it is too.
func account(subject rbacv1.Subject) (namespace, name string, is bool) {
	if subject.Kind == rbacv1.ServiceAccountKind {
		return subject.Namespace, subject.Name, true
	}
	rest, is := strings.CutPrefix(subject.Name, accountPrefix)
	if !is || subject.Kind != rbacv1.UserKind {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// accountGroup is the namespace whose ServiceAccounts a group is; empty for all of them.
func accountGroup(subject rbacv1.Subject) (namespace string, is bool) {
	if subject.Kind != rbacv1.GroupKind {
		return "", false
	}
	if subject.Name == "system:serviceaccounts" {
		return "", true
	}
	return strings.CutPrefix(subject.Name, "system:serviceaccounts:")
}

// crowd tells whether a subject is everybody, or every program of a namespace.
func crowd(subject rbacv1.Subject) bool {
	if _, is := accountGroup(subject); is {
		return true
	}
	return slices.Contains([]string{"system:authenticated", "system:unauthenticated", "system:anonymous"}, subject.Name)
}

// who is a subject, as an admin reads it.
func who(subject rbacv1.Subject) string {
	if namespace, name, is := account(subject); is {
		return "ServiceAccount " + namespace + "/" + name
	}
	return subject.Kind + " " + subject.Name
}

// runsIn are the namespaces whose Pods could run by the subject of a run-as, by which it counts: a Pod's ServiceAccount is
// of its own namespace. Empty text is every namespace; none at all is a right that never counts.
func (g grant) runsIn() (namespace string, counts bool) {
	if of, _, is := account(g.subject); is {
		return of, g.namespace == "" || g.namespace == of
	}
	of, is := accountGroup(g.subject)
	switch {
	case !is && !crowd(g.subject):
		return "", false
	case of == "":
		return g.namespace, true
	}
	return of, g.namespace == "" || g.namespace == of
}

// runsBeside tells whether a right without names is a ServiceAccount's by which Pods may run where notebooks do: everything
// has run-as in it, which is theirs who may create Pods there. In the cluster's and the webhook's own only admins do.
func (g grant) runsBeside(notebooks []string) bool {
	namespace, counts := g.runsIn()
	return counts && len(g.names) == 0 && namespace != "kube-system" && namespace != systemNamespace &&
		slices.Contains(notebooks, namespace)
}
