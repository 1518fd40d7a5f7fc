package check

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// The levels of Pod Security that the policies accept for a namespace with notebooks, and the label in which a namespace
// has its level.
const (
	levelLabel = "pod-security.kubernetes.io/enforce"
	baseline   = "baseline"
	restricted = "restricted"
)

// protectsNode reports whether a level of Pod Security keeps the Pods of a namespace from being root on their node.
func protectsNode(level string) bool { return level == baseline || level == restricted }

// claims checks that the share's claim and the further claims (share.directories) exist in the namespaces that need them,
// are bound, and are ReadWriteMany.
func claims(_ context.Context, s *state) (found []Finding) {
	served := s.servedNamespaces()
	if len(served) == 0 {
		return []Finding{warning("", "no namespace has the share or a binding to homes: nobody can run a notebook yet")}
	}
	isForAProgram := s.programsAlone()
	for _, namespace := range served {
		where := "namespace " + namespace
		if _, exists := s.namespace(namespace); !exists {
			found = append(found, failed(where, "does not exist"))
			continue
		}
		have := s.claimsIn(namespace)
		found = append(found, s.missingClaims(where, !isForAProgram(namespace), have)...)
		for _, claim := range have {
			found = append(found, judgeClaim(where, claim)...)
		}
	}
	if len(found) == 0 {
		found = append(found, ok("", "the share's claim is bound in %s", firstFew(served)))
	}
	return found
}

// missingClaims returns a finding for each claim that a namespace needs and lacks. Only a namespace with notebooks needs
// the further claims.
func (s *state) missingClaims(where string, notebooks bool, have []corev1.PersistentVolumeClaim) (found []Finding) {
	has := func(name string) bool {
		return slices.ContainsFunc(have, func(c corev1.PersistentVolumeClaim) bool { return c.Name == name })
	}
	if name := s.claimName(); !has(name) {
		found = append(found, failed(where, "has no claim %s, so a notebook there waits for ever: make one, bound to a volume of "+
			"the share", name))
	}
	for _, name := range s.furtherClaims() {
		if notebooks && !has(name) {
			found = append(found, failed(where, "has no claim %s, which has directories for notebooks (share.directories), so "+
				"a notebook there waits for ever: make one", name))
		}
	}
	return found
}

func judgeClaim(where string, claim corev1.PersistentVolumeClaim) (found []Finding) {
	if claim.Status.Phase != corev1.ClaimBound {
		found = append(found, failed(where, "its claim %s is not bound but %q: kubectl -n %s describe pvc %s", claim.Name,
			claim.Status.Phase, claim.Namespace, claim.Name))
	}
	// The chart makes the webhook's own claim (identity.share) ReadOnlyMany.
	if claim.Namespace != systemNamespace && !slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteMany) {
		found = append(found, failed(where, "its claim %s is not ReadWriteMany: notebooks on other nodes cannot have "+
			"it", claim.Name))
	}
	return found
}

// podSecurity checks the Pod Security level of each namespace with notebooks. Root on a notebook's node can be any user. So
// the policies deny notebooks in a namespace whose level lets a Pod be root on its node, except those of a requester who may
// use every home. podSecurity ignores this exception.
func podSecurity(_ context.Context, s *state) (found []Finding) {
	served := slices.DeleteFunc(s.existingServed(), s.programsAlone())
	for _, namespace := range served {
		where, level := "namespace "+namespace, s.level(namespace)
		switch {
		case protectsNode(level):
		case s.parameters["podSecurity"] == "off":
			found = append(found, warning(where, "enforces the Pod Security Standard %s, and podSecurity is off: "+
				"anyone who can create Pods there can be root beside a notebook", level))
		default:
			are := map[config.Mode]string{config.ModeEnforce: "are", config.ModeWarn: "would be"}[s.mode()]
			found = append(found, failed(where, "enforces the Pod Security Standard %s, so notebooks %s denied there: kubectl "+
				"label namespace %s %s=%s", level, are, namespace, levelLabel, baseline))
		}
	}
	if len(found) == 0 {
		found = append(found, ok("", "%s with notebooks, each of which enforces at least "+
			"%s", count(len(served), "namespace"), baseline))
	}
	return found
}

// servedNamespaces returns the namespaces in which notebooks could run: those with the share, those that the options name,
// and those with a RoleBinding that grants homes, other than by a rule that gives every right. It omits the namespaces that
// the chart's value onlyNamespaces leaves out, because the webhook has no effect there.
func (s *state) servedNamespaces() []string {
	names := map[string]bool{}
	for _, name := range append(s.namespacesWithShare(), s.Namespaces...) {
		names[name] = true
	}
	for _, g := range s.grants() {
		if g.namespace != "" && g.resource == homes && !g.wildcard {
			names[g.namespace] = true
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return s.leftOut(name) })
	return slices.Sorted(maps.Keys(names))
}

// programsAlone returns a function that reports whether a namespace has the share only for a program, such as a backup or
// the command "homes". A RoleBinding of such a namespace grants run-as on the share to a ServiceAccount of the namespace,
// and none of these is true:
//   - a RoleBinding of the namespace grants homes, also by a rule that gives every right
//   - a ClusterRoleBinding grants run-as on homes to a ServiceAccount of the namespace
//   - the options name the namespace
func (s *state) programsAlone() func(namespace string) bool {
	return s.programsAloneIf(func(grant) bool { return true })
}

// programsAloneIf is programsAlone with a filter: a grant of run-as on the share counts only if accepted returns true for
// it.
func (s *state) programsAloneIf(accepted func(grant) bool) func(namespace string) bool {
	programs, notebooks := map[string]bool{}, map[string]bool{}
	for _, g := range s.grants() {
		namespace, applies := g.runsIn()
		runs := g.verb == runAs && applies
		switch {
		case g.resource == homes:
			notebooks[g.namespace] = true
			if runs {
				notebooks[namespace] = true
			}
		case runs && namespace == g.namespace && accepted(g):
			programs[namespace] = true
		}
	}
	return func(namespace string) bool {
		return programs[namespace] && !notebooks[namespace] && !slices.Contains(s.Namespaces, namespace)
	}
}

// existingServed returns the served namespaces that exist. The function "claims" reports those that are missing.
func (s *state) existingServed() []string {
	return slices.DeleteFunc(s.servedNamespaces(), func(name string) bool {
		_, exists := s.namespace(name)
		return !exists
	})
}

func (s *state) namespacesWithShare() (names []string) {
	for _, claim := range s.shareClaims() {
		if claim.Name == s.claimName() && !slices.Contains(names, claim.Namespace) {
			names = append(names, claim.Namespace)
		}
	}
	slices.Sort(names)
	return names
}

// shareClaims returns the share's claim and the further claims, in all namespaces.
func (s *state) shareClaims() (found []corev1.PersistentVolumeClaim) {
	for _, claim := range s.claims.Items {
		if slices.Contains(s.words("claims"), claim.Name) {
			found = append(found, claim)
		}
	}
	return found
}

// claimsIn returns the share's claim and the further claims in a namespace.
func (s *state) claimsIn(namespace string) []corev1.PersistentVolumeClaim {
	return slices.DeleteFunc(s.shareClaims(), func(c corev1.PersistentVolumeClaim) bool { return c.Namespace != namespace })
}

// claimName returns the name of the share's claim, from the configuration or else from the values of the policies.
func (s *state) claimName() string {
	if s.config != nil {
		return s.config.Share.ClaimName
	}
	return append(s.words("claims"), "")[0]
}

// furtherClaims returns the names of the claims in share.directories other than the share's claim.
func (s *state) furtherClaims() []string {
	if s.config == nil {
		return nil
	}
	return s.config.Share.FurtherClaims()
}

func (s *state) namespace(name string) (corev1.Namespace, bool) {
	for _, namespace := range s.namespaces.Items {
		if namespace.Name == name {
			return namespace, true
		}
	}
	return corev1.Namespace{}, false
}

// level returns the level of Pod Security that a namespace enforces: privileged if it has no label.
func (s *state) level(name string) string {
	namespace, _ := s.namespace(name)
	if level := namespace.Labels[levelLabel]; level != "" {
		return level
	}
	return "privileged"
}
