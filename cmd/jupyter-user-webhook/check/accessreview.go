package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

func attributes(q AccessQuery, verb string) *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{Namespace: q.Namespace, Verb: verb, Group: group, Resource: homes, Name: q.User}
}

// mayCreateWorkloads reports whether a requester may create or change workloads, such as Deployments. Controllers create
// the Pods of workloads, and such a Pod may have any ServiceAccount of the namespace.
func (s *state) mayCreateWorkloads(ctx context.Context, q AccessQuery) (bool, error) {
	for _, resource := range []string{"deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps",
		"replicationcontrollers", "jobs.batch", "cronjobs.batch"} {
		for _, verb := range []string{"create", "update", "patch"} {
			if may, err := s.may(ctx, q, verb, resource); err != nil || may {
				return may, err
			}
		}
	}
	return false, nil
}

func (s *state) may(ctx context.Context, q AccessQuery, verb, resource string) (bool, error) {
	resource, apiGroup, _ := strings.Cut(resource, ".")
	allowed, _, err := s.reviewAccess(ctx, q.Requester, groupsOf(q.Requester, q.Groups), &authorizationv1.ResourceAttributes{
		Namespace: q.Namespace, Verb: verb, Group: apiGroup, Resource: resource})
	return allowed, err
}

// reviewAccess asks the API server, by a SubjectAccessReview, whether a requester with the given groups may do what the
// attributes describe. It returns the decision and the reason.
func (s *state) reviewAccess(ctx context.Context, requester string, groups []string, attrs *authorizationv1.ResourceAttributes,
) (allowed bool, reason string, err error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: requester, Groups: groups, ResourceAttributes: attrs,
	}}
	if err := s.cluster.client.Create(ctx, review); err != nil {
		return false, "", fmt.Errorf("ask the API server what %s may: %w", requester, err)
	}
	if reason = review.Status.Reason; reason == "" {
		reason = "the API server, which does not say why"
	}
	return review.Status.Allowed, reason, nil
}

// groupsOf returns the given groups and those that the API server adds: the groups of a ServiceAccount, and the group of
// authenticated or of anonymous requesters.
func groupsOf(requester string, given []string) []string {
	groups := slices.Clone(given)
	if namespace, _, is := serviceAccountOf(rbacv1.Subject{Kind: rbacv1.UserKind, Name: requester}); is {
		groups = append(groups, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	}
	if requester == "system:anonymous" {
		return append(groups, "system:unauthenticated")
	}
	return append(groups, "system:authenticated")
}
