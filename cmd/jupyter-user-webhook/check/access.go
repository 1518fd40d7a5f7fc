package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// AccessQuery asks whether a requester may create Pods that run as a user. Without a requester, it asks which subjects have a
// right to the user's home, whether or not they may create Pods.
type AccessQuery struct {
	// Requester is the requester's name in the API server; if it is empty, all subjects with access are listed.
	Requester string
	Groups    []string
	// User is the user of the Pod, and Namespace the Pod's namespace.
	User, Namespace string
}

// AccessReport has the result of an AccessQuery.
type AccessReport struct {
	Requester string `json:"as,omitempty"`
	User      string `json:"user"`
	Namespace string `json:"namespace"`
	// May reports whether the requester may create Pods of the user or, if the query names no requester, whether Rights has any.
	May bool `json:"may"`
	// Rights are the rights by which the requester can be the user. If the query names no requester, they are those of all
	// subjects, by RBAC or by ownHomes. If May is false, they are not enough, and Message names what is missing.
	Rights []Right `json:"rights"`
	// Message is the result in a sentence. If May is false, the sentence names the remedy.
	Message string `json:"message"`
}

// Right is one right to create Pods that run as a user.
type Right struct {
	// Verb is "use", "run-as" or "own". "own" is no verb of RBAC: by the chart's value ownHomes, Who has the home because of
	// the name.
	Verb string `json:"verb"`
	// Who is the name of the requester, the ServiceAccount or the other subject that has the right.
	Who string `json:"who"`
	// Through is the source of the right: the binding, the reason in the API server's response, or ownHomes.
	Through string `json:"through"`
}

// Access evaluates a query by the rules of the chart's policies 61-policy-access.yaml and 63-policy-node.yaml. If the query
// names a requester, it also checks the right to create Pods.
func Access(ctx context.Context, c *Cluster, q AccessQuery) (AccessReport, error) {
	inputs := []string{configMaps, namespaces}
	if q.Requester == "" {
		inputs = append(inputs, rbacObjects...) // for one requester the API server itself is asked
	}
	s, err := readSome(ctx, c, Options{}, inputs)
	if err != nil {
		return AccessReport{}, err
	}
	for _, what := range []string{parameters, configuration, namespaces} {
		if err := s.missing[what]; err != nil {
			return AccessReport{}, fmt.Errorf("read %s: %w", what, err)
		}
	}
	if _, exists := s.namespace(q.Namespace); !exists {
		return AccessReport{}, fmt.Errorf("there is no namespace %s", plain(q.Namespace))
	}
	a := AccessReport{Requester: q.Requester, User: q.User, Namespace: q.Namespace}
	name, fault := user.Parse("", q.User, s.config.User)
	switch {
	case fault != nil:
		a.Message = fault.String()
	case slices.Contains(s.words("unservedNamespaces"), q.Namespace):
		a.Message = fmt.Sprintf("namespace %s cannot have notebooks, because the webhook does not serve it "+
			"(NamespaceUnserved): use another one", q.Namespace)
	default:
		// RBAC rules name a home by the user name alone, and Parse has cut off the domain.
		q.User, a.User = name.String(), name.String()
		err = s.judgeAccess(ctx, q, &a)
	}
	if s.leftOut(q.Namespace) {
		a.Message = fmt.Sprintf("onlyNamespaces leaves out namespace %s, so everyone who may create Pods there can be any user. "+
			"If it were listed: %s", q.Namespace, a.Message)
	}
	for i := range a.Rights {
		a.Rights[i].Who, a.Rights[i].Through = plain(a.Rights[i].Who), plain(a.Rights[i].Through)
	}
	a.Requester, a.User, a.Namespace, a.Message = plain(a.Requester), plain(a.User), plain(a.Namespace), plain(a.Message)
	return a, err
}

func (s *state) judgeAccess(ctx context.Context, q AccessQuery, a *AccessReport) error {
	if q.Requester == "" {
		return s.usersWithAccess(q, a)
	}
	if err := s.requesterAccess(ctx, q, a); err != nil || !s.isUnguarded(q.Namespace) {
		return err
	}
	// If the requester may use every home, the policies accept notebooks also in an unguarded namespace.
	every := attributes(q, use)
	every.Name = ""
	allowed, _, err := s.reviewAccess(ctx, q.Requester, groupsOf(q.Requester, q.Groups), every)
	if err != nil || allowed && s.rightsApply(q.Requester) {
		return err
	}
	if !a.May {
		a.Message += "; and then "
	} else {
		a.Message = ""
	}
	a.May = false
	a.Message += s.podSecuritySentence(q.Namespace)
	return nil
}

// isUnguarded reports whether a namespace enforces neither of the Pod Security levels baseline and restricted, so that a
// Pod could be root on the notebook's node. It returns false if the policies require no level (podSecurity: off).
func (s *state) isUnguarded(namespace string) bool {
	return !protectsNode(s.level(namespace)) && s.parameters["podSecurity"] != "off"
}

// podSecuritySentence returns the message that an unguarded namespace must first enforce a level of Pod Security.
func (s *state) podSecuritySentence(namespace string) string {
	return fmt.Sprintf("notebooks are denied in namespace %s, which enforces the Pod Security Standard %s "+
		"(NamespaceUnguarded): ask the admin for kubectl label --overwrite namespace %s %s=%s", namespace, s.level(namespace),
		namespace, levelLabel, baseline)
}

// requesterAccess fills in the report about one requester. As the policies do, it asks the API server whether the requester has
// the verb use, and which ServiceAccounts of the namespace have the verb run-as.
func (s *state) requesterAccess(ctx context.Context, q AccessQuery, a *AccessReport) error {
	if !s.rightsApply(q.Requester) {
		a.Message = q.Requester + " creates Pods on behalf of others and never counts as requester: the Pod's ServiceAccount needs " +
			"the verb run-as"
	} else if err := s.addUseRight(ctx, q, a); err != nil {
		return err
	}
	// With ownHomes, a requester needs no right to their own home: the requester's name decides.
	if s.isOwnHome(q) {
		a.Rights = append(a.Rights, Right{Verb: "own", Who: q.Requester, Through: "ownHomes"})
	}
	mayCreate, err := s.may(ctx, q, "create", "pods")
	if err != nil {
		return err
	}
	direct := len(a.Rights) > 0
	accounts, err := s.runAsRights(ctx, q)
	// If the requester has a right and may create Pods, the result does not depend on ServiceAccounts, so an error about
	// them does not matter.
	if err != nil && (!direct || !mayCreate) {
		return err
	}
	canStart := mayCreate
	if len(accounts) > 0 && !canStart {
		if canStart, err = s.mayCreateWorkloads(ctx, q); err != nil {
			return err
		}
	}
	a.Rights = append(a.Rights, accounts...)
	a.May = direct && mayCreate || len(accounts) > 0 && canStart
	a.Message = requesterMessage(q, a, mayCreate)
	return nil
}

// requesterMessage returns the Message of a report about one requester.
func requesterMessage(q AccessQuery, a *AccessReport, mayCreate bool) string {
	switch {
	case a.May:
		return fmt.Sprintf("%s may be %s in namespace %s", q.Requester, q.User, q.Namespace)
	case len(a.Rights) > 0 && !mayCreate:
		return fmt.Sprintf("%s has the right to the home of %s in namespace %s, but not to create Pods there: ask the admin for "+
			"that",
			q.Requester, q.User, q.Namespace)
	case a.Message != "":
		return fmt.Sprintf("%s; no ServiceAccount of namespace %s may run as %s: ask the admin for a role with the verb run-as "+
			"on homes.%s named %s, for the ServiceAccount", a.Message, q.Namespace, q.User, group, q.User)
	}
	return fmt.Sprintf("%s may not use the home of %s in namespace %s, and no ServiceAccount there may run as %s: ask the "+
		"admin for a role with the verb use on homes.%s named %s", q.Requester, q.User, q.Namespace, q.User, group, q.User)
}

// addUseRight adds the right with the verb "use" to the report, if the requester has it.
func (s *state) addUseRight(ctx context.Context, q AccessQuery, a *AccessReport) error {
	allowed, through, err := s.reviewAccess(ctx, q.Requester, groupsOf(q.Requester, q.Groups), attributes(q, use))
	if err == nil && allowed {
		a.Rights = append(a.Rights, Right{Verb: use, Who: q.Requester, Through: through})
	}
	return err
}

// runAsRights returns the rights with the verb "run-as" of the ServiceAccounts in the query's namespace: a Pod there can
// have any of these ServiceAccounts.
func (s *state) runAsRights(ctx context.Context, q AccessQuery) (rights []Right, err error) {
	var accounts corev1.ServiceAccountList
	if err := s.cluster.client.List(ctx, &accounts, client.InNamespace(q.Namespace)); err != nil {
		return nil, fmt.Errorf("list the ServiceAccounts of namespace %s: %w", q.Namespace, err)
	}
	for _, account := range accounts.Items {
		name := accountPrefix + account.Namespace + ":" + account.Name
		// The policies check the rights of a ServiceAccount with these groups alone, without system:authenticated.
		groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + account.Namespace}
		allowed, through, err := s.reviewAccess(ctx, name, groups, attributes(q, runAs))
		if err != nil {
			return nil, err
		}
		if allowed {
			who := "ServiceAccount " + account.Namespace + "/" + account.Name
			rights = append(rights, Right{Verb: runAs, Who: who, Through: through})
		}
	}
	return rights, nil
}

// rightsApply reports whether the policies consider the rights of a requester. They ignore the rights of nodes, of
// controllers and of all ServiceAccounts of kube-system: a controller creates Pods on behalf of others, such as the author
// of a Deployment.
func (s *state) rightsApply(requester string) bool {
	return !strings.HasPrefix(requester, accountPrefix+"kube-system:") && !strings.HasPrefix(requester, "system:node:") &&
		requester != "system:kube-controller-manager" && requester != "system:kube-scheduler" &&
		!slices.Contains(s.words("controllers"), requester)
}

// isOwnHome reports whether ownHomes is enabled and gives the user's home to the requester.
func (s *state) isOwnHome(q AccessQuery) bool {
	return s.parameters["ownHomes"] == "Yes" && q.User != "" &&
		q.Requester == s.parameters["ownHomePrefix"]+q.User+s.parameters["ownHomeSuffix"]
}

// usersWithAccess adds to the report the subjects that have access by RBAC or by ownHomes. It cannot see the rights that
// other authorizers give.
func (s *state) usersWithAccess(q AccessQuery, a *AccessReport) error {
	for _, what := range rbacObjects {
		if err := s.missing[what]; err != nil {
			return fmt.Errorf("read %s: %w", what, err)
		}
	}
	for _, g := range s.grants() {
		if !s.givesAccess(g, q) {
			continue
		}
		// Two rules of a role may give the same right, which is listed once.
		if right := (Right{Verb: g.verb, Who: subjectText(g.subject), Through: g.binding}); !slices.Contains(a.Rights, right) {
			a.Rights = append(a.Rights, right)
		}
	}
	unguarded := s.isUnguarded(q.Namespace)
	if s.parameters["ownHomes"] == "Yes" && !unguarded {
		a.Rights = append(a.Rights, Right{Verb: "own", Through: "ownHomes",
			Who: "User " + s.parameters["ownHomePrefix"] + q.User + s.parameters["ownHomeSuffix"]})
	}
	a.May = len(a.Rights) > 0
	if !a.May && unguarded {
		a.Message = s.podSecuritySentence(q.Namespace)
		return nil
	}
	a.Message = fmt.Sprintf("nobody may be %s in namespace %s: ask the admin for a role with the verb use on homes.%s named "+
		"%s", q.User,
		q.Namespace, group, q.User)
	if a.May {
		a.Message = fmt.Sprintf("these may be %s in namespace %s, if they may create Pods there; run-as is for everyone who "+
			"may", q.User,
			q.Namespace)
	}
	return nil
}

// givesAccess reports whether a grant gives its subject the home of the query's user, for Pods of the query's namespace. In an
// unguarded namespace, only the verb use on every home gives access.
func (s *state) givesAccess(g grant, q AccessQuery) bool {
	if g.resource != homes || !g.covers(q.User) || g.namespace != "" && g.namespace != q.Namespace {
		return false
	}
	if s.isUnguarded(q.Namespace) && (g.verb == runAs || len(g.names) > 0) {
		return false
	}
	if g.verb == runAs {
		namespace, applies := g.runsIn()
		return applies && (namespace == "" || namespace == q.Namespace)
	}
	return g.subject.Kind == rbacv1.GroupKind || s.rightsApply(requesterOf(g.subject))
}
