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

// AccessQuery asks which requesters may be a user.
type AccessQuery struct {
	// As is the requester's name in the API server; if it is empty, all requesters with access are listed.
	As     string
	Groups []string
	// User is the user, and Namespace that of the Pod.
	User, Namespace string
}

// AccessReport is the result: whether there is access, and by which rights.
type AccessReport struct {
	As        string `json:"as,omitempty"`
	User      string `json:"user"`
	Namespace string `json:"namespace"`
	May       bool   `json:"may"`
	// Rights are the rights that give access, or that would give access.
	Rights []Right `json:"rights"`
	// Message is the result in a sentence; without access it says what to ask for.
	Message string `json:"message"`
}

// Right is one right to be a user.
type Right struct {
	// Verb is use or run-as; or own, for ownHomes.
	Verb string `json:"verb"`
	// Who has it: the requester, the ServiceAccount of the Pod, or the subject of a binding.
	Who string `json:"who"`
	// Through is the binding, or the API server's reason if it was asked.
	Through string `json:"through"`
}

// Access evaluates a query by the same rules as the policy in 61-policy-access.yaml of the chart.
func Access(ctx context.Context, c *Cluster, q AccessQuery) (AccessReport, error) {
	inputs := []string{configMaps, namespaces}
	if q.As == "" {
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
	a := AccessReport{As: q.As, User: q.User, Namespace: q.Namespace}
	name, fault := user.Parse("", q.User, s.config.User)
	switch {
	case fault != nil:
		a.Message = fault.String()
	case slices.Contains(s.words("unservedNamespaces"), q.Namespace):
		a.Message = fmt.Sprintf("namespace %s cannot have notebooks, because the webhook does not serve it "+
			"(NamespaceUnserved): use another one", q.Namespace)
	default:
		// The home has the parsed name, without a domain.
		q.User, a.User = name.String(), name.String()
		err = s.judgeAccess(ctx, q, &a)
	}
	for i := range a.Rights {
		a.Rights[i].Who, a.Rights[i].Through = plain(a.Rights[i].Who), plain(a.Rights[i].Through)
	}
	a.As, a.User, a.Namespace, a.Message = plain(a.As), plain(a.User), plain(a.Namespace), plain(a.Message)
	return a, err
}

func (s *state) judgeAccess(ctx context.Context, q AccessQuery, a *AccessReport) error {
	if q.As == "" {
		return s.usersWithAccess(q, a)
	}
	if err := s.requesterAccess(ctx, q, a); err != nil || !s.mayRunAsRoot(q.Namespace) {
		return err
	}
	// A requester that may use every home has access in any namespace.
	every := attributes(q, use)
	every.Name = ""
	allowed, _, err := s.reviewAccess(ctx, q.As, groupsOf(q.As, q.Groups), every)
	if err != nil || allowed && s.countsAsRequester(q.As) {
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

// mayRunAsRoot reports whether Pods of a namespace may run as root. The policies deny notebooks there.
func (s *state) mayRunAsRoot(namespace string) bool {
	return !preventsRoot(s.level(namespace)) && s.parameters["podSecurity"] != "off"
}

// podSecuritySentence returns the sentence about a namespace whose Pods may run as root: it must first enforce a Pod
// Security Standard.
func (s *state) podSecuritySentence(namespace string) string {
	return fmt.Sprintf("notebooks are denied in namespace %s, which enforces the Pod Security Standard %s "+
		"(NamespaceUnguarded): ask the admin for kubectl label --overwrite namespace %s %s=%s", namespace, s.level(namespace),
		namespace, levelLabel, baseline)
}

// requesterAccess asks the API server itself, as the policy does.
func (s *state) requesterAccess(ctx context.Context, q AccessQuery, a *AccessReport) error {
	if !s.countsAsRequester(q.As) {
		a.Message = q.As + " creates Pods on behalf of others and never counts as requester: the Pod's ServiceAccount needs " +
			"the verb run-as"
	} else if err := s.byRequest(ctx, q, a); err != nil {
		return err
	}
	// Own homes need no right; the name of the requester decides.
	if s.isOwnHome(q) {
		a.Rights = append(a.Rights, Right{Verb: "own", Who: q.As, Through: "ownHomes"})
	}
	mayCreate, err := s.may(ctx, q, "create", "pods")
	if err != nil {
		return err
	}
	direct := len(a.Rights) > 0
	accounts, err := s.byAccount(ctx, q)
	// A requester with direct access needs no other rights.
	if err != nil && (!direct || !mayCreate) {
		return err
	}
	lead := mayCreate
	if len(accounts) > 0 && !lead {
		if lead, err = s.mayCreateWorkloads(ctx, q); err != nil {
			return err
		}
	}
	a.Rights = append(a.Rights, accounts...)
	a.May = direct && mayCreate || len(accounts) > 0 && lead
	a.Message = sentence(q, a, mayCreate)
	return nil
}

// sentence returns the result for a user. Without access it names the same remedy as the policy's denial.
func sentence(q AccessQuery, a *AccessReport, mayCreate bool) string {
	switch {
	case a.May:
		return fmt.Sprintf("%s may be %s in namespace %s", q.As, q.User, q.Namespace)
	case len(a.Rights) > 0 && !mayCreate:
		return fmt.Sprintf("%s has the right to the home of %s in namespace %s, but not to create Pods there: ask the admin for "+
			"that",
			q.As, q.User, q.Namespace)
	case a.Message != "":
		return fmt.Sprintf("%s; no ServiceAccount of namespace %s may run as %s: ask the admin for a role with the verb run-as "+
			"on homes.%s named %s, for the ServiceAccount", a.Message, q.Namespace, q.User, group, q.User)
	}
	return fmt.Sprintf("%s may not use the home of %s in namespace %s, and no ServiceAccount there may run as %s: ask the "+
		"admin for a role with the verb use on homes.%s named %s", q.As, q.User, q.Namespace, q.User, group, q.User)
}

// byRequest checks the verb use, for the requester.
func (s *state) byRequest(ctx context.Context, q AccessQuery, a *AccessReport) error {
	allowed, through, err := s.reviewAccess(ctx, q.As, groupsOf(q.As, q.Groups), attributes(q, use))
	if err == nil && allowed {
		a.Rights = append(a.Rights, Right{Verb: use, Who: q.As, Through: through})
	}
	return err
}

// byAccount checks the verb run-as, for each ServiceAccount that a Pod of the namespace could have.
func (s *state) byAccount(ctx context.Context, q AccessQuery) (rights []Right, err error) {
	var accounts corev1.ServiceAccountList
	if err := s.cluster.client.List(ctx, &accounts, client.InNamespace(q.Namespace)); err != nil {
		return nil, fmt.Errorf("list the ServiceAccounts of namespace %s: %w", q.Namespace, err)
	}
	for _, of := range accounts.Items {
		name := accountPrefix + of.Namespace + ":" + of.Name
		// The policy checks the ServiceAccount with the groups that every ServiceAccount has.
		groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + of.Namespace}
		allowed, through, err := s.reviewAccess(ctx, name, groups, attributes(q, runAs))
		if err != nil {
			return nil, err
		}
		if allowed {
			rights = append(rights, Right{Verb: runAs, Who: "ServiceAccount " + of.Namespace + "/" + of.Name, Through: through})
		}
	}
	return rights, nil
}

// countsAsRequester reports whether a requester's own rights count. Those of a controller do not: it creates Pods for the
// author of a Deployment.
func (s *state) countsAsRequester(as string) bool {
	return !strings.HasPrefix(as, accountPrefix+"kube-system:") && !strings.HasPrefix(as, "system:node:") &&
		as != "system:kube-controller-manager" && as != "system:kube-scheduler" && !slices.Contains(s.words("controllers"), as)
}

// isOwnHome reports whether ownHomes is on and this is the requester's own home.
func (s *state) isOwnHome(q AccessQuery) bool {
	return s.parameters["ownHomes"] == "Yes" && q.User != "" &&
		q.As == s.parameters["ownHomePrefix"]+q.User+s.parameters["ownHomeSuffix"]
}

// usersWithAccess lists the subjects with access by RBAC. Rights by other authorizers are not visible.
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
		// Two rules of a role may give the same right.
		if right := (Right{Verb: g.verb, Who: subjectText(g.subject), Through: g.binding}); !slices.Contains(a.Rights, right) {
			a.Rights = append(a.Rights, right)
		}
	}
	mayRunAsRoot := s.mayRunAsRoot(q.Namespace)
	if s.parameters["ownHomes"] == "Yes" && !mayRunAsRoot {
		a.Rights = append(a.Rights, Right{Verb: "own", Through: "ownHomes",
			Who: "User " + s.parameters["ownHomePrefix"] + q.User + s.parameters["ownHomeSuffix"]})
	}
	a.May = len(a.Rights) > 0
	if !a.May && mayRunAsRoot {
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

// givesAccess reports whether a grant gives access to the user of a query.
func (s *state) givesAccess(g grant, q AccessQuery) bool {
	if g.resource != homes || !g.covers(q.User) || g.namespace != "" && g.namespace != q.Namespace {
		return false
	}
	if s.mayRunAsRoot(q.Namespace) && (g.verb == runAs || len(g.names) > 0) {
		return false
	}
	if g.verb == runAs {
		namespace, counts := g.runsIn()
		return counts && (namespace == "" || namespace == q.Namespace)
	}
	return g.subject.Kind == rbacv1.GroupKind || s.countsAsRequester(userName(g.subject))
}

// userName returns the name of a subject that is not a group.
func userName(subject rbacv1.Subject) string {
	if namespace, name, is := account(subject); is {
		return accountPrefix + namespace + ":" + name
	}
	return subject.Name
}
