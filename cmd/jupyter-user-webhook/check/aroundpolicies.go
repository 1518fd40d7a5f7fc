package check

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// rightsAroundPolicies are rights to Kubernetes' own resources with which a subject can be another user in spite of the
// policies.
var rightsAroundPolicies = []struct {
	group, resource string
	verbs           []string
	message         string
}{
	{"networking.k8s.io", "networkpolicies", []string{"create", "update", "patch", "delete", "deletecollection"},
		"may write NetworkPolicies in namespaces with notebooks. NetworkPolicies add up, so any of these subjects may let " +
			"Pods reach the share's server, where a Pod can be any user. Protect the server by means that they cannot change: " +
			"an export to the nodes alone, if connections of Pods do not leave a node with its address, or a cluster-wide policy " +
			"of the network plugin"},
	{"", "pods/log", []string{"get"},
		"may read logs of Pods in namespaces with notebooks. A Jupyter that makes its own token prints the token there, and " +
			"anyone with the token is the user in that Jupyter: give pods/log only to those whom you trust with every notebook"},
}

// aroundPolicies returns a warning for each of rightsAroundPolicies that a subject has in a namespace with notebooks. It
// omits the ServiceAccounts of kube-system, which are controllers, and the rules that give every right, because judgeGrant
// reports the subjects with every right.
func (s *state) aroundPolicies(notebooks []string) (found []Finding) {
	if len(notebooks) == 0 {
		return nil
	}
	for _, right := range rightsAroundPolicies {
		having := map[string]bool{}
		for _, g := range s.collectGrants(func(rules []rbacv1.PolicyRule) (given []grant) {
			for _, rule := range rules {
				may := slices.ContainsFunc(right.verbs, func(verb string) bool { return allows(rule, right.group, right.resource, verb) })
				if may && !givesEveryRight(rule) {
					given = append(given, grant{})
				}
			}
			return given
		}) {
			namespace, _, _ := serviceAccountOf(g.subject)
			if namespace != "kube-system" && (g.namespace == "" || slices.Contains(notebooks, g.namespace)) {
				having[subjectText(g.subject)+" ("+g.binding+")"] = true
			}
		}
		if len(having) > 0 {
			found = append(found, warning(firstFew(slices.Sorted(maps.Keys(having))), "%s", right.message))
		}
	}
	return found
}
