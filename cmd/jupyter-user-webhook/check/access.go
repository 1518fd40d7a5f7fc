package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Question is who may be whom.
type Question struct {
	// As is the requester as the API server knows it; empty asks for everybody who may.
	As     string
	Groups []string
	// User whose home it is about, and the namespace of the Pod.
	User, Namespace string
}

// Answer says whether, and through what.
type Answer struct {
	As        string `json:"as,omitempty"`
	User      string `json:"user"`
	Namespace string `json:"namespace"`
	May       bool   `json:"may"`
	// Ways are what gives it, or would.
	Ways []Way `json:"ways"`
	// Message is the answer in a sentence, with what to ask for where it is no.
	Message string `json:"message"`
}

// Way is one thing that makes somebody somebody.
type Way struct {
	// Verb is use or run-as; or own, for ownHomes.
	Verb string `json:"verb"`
	// Who has it: the requester, the ServiceAccount that the Pod has to run by, or whom a binding names.
	Who string `json:"who"`
	// Through is the binding, in the API server's words where it was asked.
	Through string `json:"through"`
}

// Access answers a question by the rules of deploy/61-policy-access.yaml.
func Access(ctx context.Context, c *Cluster, q Question) (Answer, error) {
	s, err := readSome(ctx, c, append([]string{configMaps}, rbacObjects...))
	if err != nil {
		return Answer{}, err
	}
	if err := s.missing[parameters]; err != nil {
		return Answer{}, fmt.Errorf("read %s: %w", parameters, err)
	}
	a := Answer{As: q.As, User: q.User, Namespace: q.Namespace}
	if q.As == "" {
		err = s.everybody(q, &a)
	} else {
		err = s.somebody(ctx, q, &a)
	}
	for i := range a.Ways {
		a.Ways[i].Who, a.Ways[i].Through = plain(a.Ways[i].Who), plain(a.Ways[i].Through)
	}
	a.As, a.User, a.Namespace, a.Message = plain(a.As), plain(a.User), plain(a.Namespace), plain(a.Message)
	return a, err
}

// somebody asks the API server itself, as the policy does.
func (s *state) somebody(ctx context.Context, q Question, a *Answer) error {
	if !s.person(q.As) {
		a.Message = q.As + " creates Pods on behalf of others and never counts: the verb run-as is asked, of the Pod's " +
			"ServiceAccount"
	} else if err := s.byRequest(ctx, q, a); err != nil {
		return err
	}
	// Own homes are asked about of whoever has the name.
	if s.own(q) {
		a.Ways = append(a.Ways, Way{Verb: "own", Who: q.As, Through: "the parameter ownHomes"})
	}
	mayCreate, err := s.mayCreate(ctx, q, "pods")
	if err != nil {
		return err
	}
	direct := len(a.Ways) > 0
	accounts, err := s.byAccount(ctx, q)
	// Who may by themselves need not know by whom else.
	if err != nil && (!direct || !mayCreate) {
		return err
	}
	lead := mayCreate
	for _, resource := range []string{"deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps",
		"replicationcontrollers", "jobs.batch", "cronjobs.batch"} {
		if len(accounts) == 0 || lead {
			break
		}
		if lead, err = s.mayCreate(ctx, q, resource); err != nil {
			return err
		}
	}
	a.Ways = append(a.Ways, accounts...)
	a.May = direct && mayCreate || len(accounts) > 0 && lead
	a.Message = sentence(q, a, mayCreate)
	return nil
}

// sentence is the answer for a person. Where it is no it asks the admin for what the policy's refusal would.
func sentence(q Question, a *Answer, mayCreate bool) string {
	switch {
	case a.May:
		return fmt.Sprintf("%s may be %s in namespace %s", q.As, q.User, q.Namespace)
	case len(a.Ways) > 0 && !mayCreate:
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

// byRequest asks for the verb use, of whoever sends the request.
func (s *state) byRequest(ctx context.Context, q Question, a *Answer) error {
	allowed, through, err := s.asks(ctx, q.As, groupsOf(q.As, q.Groups), attributes(q, use))
	if err == nil && allowed {
		a.Ways = append(a.Ways, Way{Verb: use, Who: q.As, Through: through})
	}
	return err
}

// byAccount asks for the verb run-as, of each ServiceAccount that a Pod of the namespace could name.
func (s *state) byAccount(ctx context.Context, q Question) (ways []Way, err error) {
	var accounts corev1.ServiceAccountList
	if err := s.cluster.client.List(ctx, &accounts, client.InNamespace(q.Namespace)); err != nil {
		return nil, fmt.Errorf("list the ServiceAccounts of namespace %s: %w", q.Namespace, err)
	}
	for _, of := range accounts.Items {
		name := accountPrefix + of.Namespace + ":" + of.Name
		// The policy asks for the ServiceAccount as such, in the groups that it has by being one.
		groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + of.Namespace}
		allowed, through, err := s.asks(ctx, name, groups, attributes(q, runAs))
		if err != nil {
			return nil, err
		}
		if allowed {
			ways = append(ways, Way{Verb: runAs, Who: "ServiceAccount " + of.Namespace + "/" + of.Name, Through: through})
		}
	}
	return ways, nil
}

func attributes(q Question, verb string) *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{Namespace: q.Namespace, Verb: verb, Group: group, Resource: homes, Name: q.User}
}

func (s *state) mayCreate(ctx context.Context, q Question, resource string) (bool, error) {
	resource, of, _ := strings.Cut(resource, ".")
	allowed, _, err := s.asks(ctx, q.As, groupsOf(q.As, q.Groups), &authorizationv1.ResourceAttributes{
		Namespace: q.Namespace, Verb: "create", Group: of, Resource: resource})
	return allowed, err
}

// asks is the API server's own answer, with its reason.
func (s *state) asks(ctx context.Context, as string, groups []string, of *authorizationv1.ResourceAttributes,
) (allowed bool, reason string, err error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: as, Groups: groups, ResourceAttributes: of,
	}}
	if err := s.cluster.client.Create(ctx, review); err != nil {
		return false, "", fmt.Errorf("ask the API server what %s may: %w", as, err)
	}
	if reason = review.Status.Reason; reason == "" {
		reason = "the API server, which does not say why"
	}
	return review.Status.Allowed, reason, nil
}

// groupsOf are the given groups and those that the API server adds: everybody's, and a ServiceAccount's.
func groupsOf(as string, given []string) []string {
	groups := slices.Clone(given)
	if namespace, _, is := account(rbacv1.Subject{Kind: rbacv1.UserKind, Name: as}); is {
		groups = append(groups, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	}
	if as == "system:anonymous" {
		return append(groups, "system:unauthenticated")
	}
	return append(groups, "system:authenticated")
}

// person tells whether a requester counts. Programs that create Pods on behalf of whoever wrote a Deployment do not.
func (s *state) person(as string) bool {
	return !strings.HasPrefix(as, accountPrefix+"kube-system:") && !strings.HasPrefix(as, "system:node:") &&
		as != "system:kube-controller-manager" && as != "system:kube-scheduler" && !slices.Contains(s.words("controllers"), as)
}

// own tells whether it is the requester's own home, where everybody may use theirs.
func (s *state) own(q Question) bool {
	return s.parameters["ownHomes"] == "Yes" && q.User != "" &&
		q.As == s.parameters["ownHomePrefix"]+q.User+s.parameters["ownHomeSuffix"]
}

// everybody lists by RBAC who may. What another authorizer gives is not seen.
func (s *state) everybody(q Question, a *Answer) error {
	for _, what := range rbacObjects {
		if err := s.missing[what]; err != nil {
			return fmt.Errorf("read %s: %w", what, err)
		}
	}
	for _, g := range s.grants() {
		if g.resource != homes || !g.covers(q.User) || g.namespace != "" && g.namespace != q.Namespace {
			continue
		}
		if g.verb == runAs {
			if namespace, counts := g.runsIn(); !counts || namespace != "" && namespace != q.Namespace {
				continue
			}
		} else if g.subject.Kind != rbacv1.GroupKind && !s.person(userName(g.subject)) {
			continue
		}
		// A role may give the same by two rules.
		if way := (Way{Verb: g.verb, Who: who(g.subject), Through: g.binding}); !slices.Contains(a.Ways, way) {
			a.Ways = append(a.Ways, way)
		}
	}
	if s.parameters["ownHomes"] == "Yes" {
		a.Ways = append(a.Ways, Way{Verb: "own", Through: "the parameter ownHomes",
			Who: "User " + s.parameters["ownHomePrefix"] + q.User + s.parameters["ownHomeSuffix"]})
	}
	a.May = len(a.Ways) > 0
	a.Message = fmt.Sprintf("nobody may be %s in namespace %s: ask the admin for a role with the verb use on homes.%s named "+
		"%s", q.User,
		q.Namespace, group, q.User)
	if a.May {
		a.Message = fmt.Sprintf("these may be %s in namespace %s, as far as they may create Pods there; run-as is everybody's "+
			"who may", q.User,
			q.Namespace)
	}
	return nil
}

// userName of a subject that is no group.
func userName(subject rbacv1.Subject) string {
	if namespace, name, is := account(subject); is {
		return accountPrefix + namespace + ":" + name
	}
	return subject.Name
}
