package check

import (
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// rbac judges the rights to homes and shares. If everyone who can create Pods in a namespace can be any user, the finding
// is Failed. If a hub or an admin can be any user, the finding is a Warning. It also reports hubs with run-as, rights that
// other ClusterRoles get by aggregation, and rights that bypass the policies.
func rbac(_ context.Context, s *state) (found []Finding) {
	grants, notebooks := s.grants(), s.servedNamespaces()
	seen := map[string]bool{}
	for _, g := range grants {
		f := judgeGrant(g, notebooks)
		if f == nil || seen[f.Where+f.Message] {
			continue
		}
		// The policies ignore the rights of a listed controller as a requester, so a Warning about them is omitted. A Failed finding
		// stays: Pods beside the controller can use its right to run-as.
		ignored := slices.Contains(s.words("controllers"), requesterOf(g.subject)) && (g.wildcard || g.verb == use)
		if ignored && f.Status == Warning {
			continue
		}
		seen[f.Where+f.Message] = true
		found = append(found, *f)
	}
	found = append(found, hubsWithRunAs(grants)...)
	found = append(found, s.aggregated()...)
	found = append(found, s.aroundPolicies(notebooks)...)
	given, single := s.parameters["ownHomes"] == "Yes", map[string]bool{}
	for _, g := range grants {
		given = given || g.resource == homes && !g.wildcard
		if len(g.names) > 0 && g.resource == homes && !isEveryone(g.subject) {
			single[g.binding] = true
		}
	}
	if !given {
		return append(found, warning("", "nobody is given a home yet, so only those who may do everything can have a notebook: "+
			"access.rights, spawners or access.ownHomes in the chart's values, or a RoleBinding"))
	}
	return append(found, ok("", "single homes are given by name through %s", count(len(single), "binding")))
}

// judgeGrant returns the finding about one grant, or nil if there is nothing to report. The parameter notebooks has the
// names of the namespaces with notebooks.
func judgeGrant(g grant, notebooks []string) *Finding {
	f := func(f Finding) *Finding { return &f }
	where := g.binding
	switch {
	case isEveryone(g.subject):
		return f(failed(where, "gives %s %s in %s to %s, which is every user there: remove "+
			"it", g.verb, g.describeHomes(), g.where(), subjectText(g.subject)))
	case g.wildcard && g.subject.Kind == "Group" && g.subject.Name == "system:masters":
		return f(ok(where, "may be any user: %s, whom no rule stops in any cluster", subjectText(g.subject)))
	case g.wildcard && g.runsBesideNotebooks(notebooks):
		return f(failed(where, "lets anyone who can create Pods in the namespace of %s be any user, by a rule that gives "+
			"every right (%s), including run-as: notebooks run there, so give it only the rights that it needs, or a namespace "+
			"of its own",
			subjectText(g.subject), g.role))
	case g.wildcard:
		advice := ""
		if _, _, is := serviceAccountOf(g.subject); is {
			advice = "; if it creates Pods for others, name it in access.controllers"
		}
		return f(warning(where, "may be any user: %s in %s, by a rule that gives every right (%s)%s",
			subjectText(g.subject), g.where(), g.role, advice))
	case g.verb == runAs:
		return judgeRunAs(g)
	case len(g.names) == 0 || g.resource == shares:
		return f(warning(where, "may be any user: %s may use %s in %s; right for a JupyterHub, which has authenticated its "+
			"users, and for an admin", subjectText(g.subject), g.describeHomes(), g.where()))
	}
	return nil
}

func judgeRunAs(g grant) *Finding {
	var f Finding
	namespace, applies := g.runsIn()
	switch {
	case !applies:
		f = warning(g.binding, "gives run-as to %s in %s, which never counts: it is for a ServiceAccount of the Pod's own "+
			"namespace",
			subjectText(g.subject), g.where())
	case g.resource == shares:
		f = warning(g.binding, "lets anyone who can create Pods in namespace %s read and change every home, by %s: right for a "+
			"backup in a namespace where no other user may create Pods", namespace, subjectText(g.subject))
	case len(g.names) == 0:
		f = failed(g.binding, "lets anyone who can create Pods in namespace %s be any user, by %s: name the homes in resourceNames",
			namespace, subjectText(g.subject))
	default:
		return nil
	}
	return &f
}

func (g grant) describeHomes() string {
	switch {
	case g.resource == shares:
		return "the whole share"
	case len(g.names) == 0:
		return "every home"
	}
	return "the homes of " + firstFew(g.names)
}

// hubsWithRunAs returns a finding for each ServiceAccount that has two verbs: "use" for every home, and "run-as" for homes.
// With "run-as", each Pod with that ServiceAccount can run as a user, and not only the Pods that the hub creates.
func hubsWithRunAs(grants []grant) (found []Finding) {
	every := map[string]bool{}
	for _, g := range grants {
		if _, _, is := serviceAccountOf(g.subject); is && g.verb == use && g.resource == homes && len(g.names) == 0 && !g.wildcard {
			every[subjectText(g.subject)] = true
		}
	}
	runs := map[string]string{}
	for _, g := range grants {
		if g.verb == runAs && g.resource == homes && !g.wildcard && every[subjectText(g.subject)] {
			runs[subjectText(g.subject)] = g.binding
		}
	}
	for _, hub := range slices.Sorted(maps.Keys(runs)) {
		found = append(found, failed(runs[hub], "gives run-as to %s, which may use every home: a hub needs only use, and "+
			"with run-as anyone who can create Pods beside the hub can be any user", hub))
	}
	return found
}

// aggregated returns a finding for each ClusterRole with rights to homes or shares that is aggregated into another
// ClusterRole, such as "edit". The subjects of that other ClusterRole then have the rights too.
func (s *state) aggregated() (found []Finding) {
	for _, role := range s.clusterRoles.Items {
		ours := slices.ContainsFunc(rights(role.Rules), func(g grant) bool { return !g.wildcard })
		if !ours {
			continue
		}
		for _, other := range s.clusterRoles.Items {
			if other.AggregationRule == nil || !selected(other.AggregationRule.ClusterRoleSelectors, role.Labels) {
				continue
			}
			found = append(found, failed("ClusterRole "+role.Name, "has rights to homes and is aggregated into the ClusterRole "+
				"%s, so everyone with that role has them: remove its label", other.Name))
		}
	}
	return found
}

func selected(selectors []metav1.LabelSelector, roleLabels map[string]string) bool {
	for _, s := range selectors {
		selector, err := metav1.LabelSelectorAsSelector(&s)
		if err == nil && selector.Matches(labels.Set(roleLabels)) {
			return true
		}
	}
	return false
}
