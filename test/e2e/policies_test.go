package e2e

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// carolsHomes returns the users whose homes carol may use. Some of these users have no home, or something else in its
// place. They must be denied for this reason, and not because carol lacks the right.
func carolsHomes() []string {
	names := []string{"li", "no-home", "nested", "qiang.guo0", "a-file", "a-link", "link-owner", newcomer.name}
	for _, h := range homes() {
		if h.name != dan {
			names = append(names, h.name)
		}
	}
	return names
}

// allowUse gives a user the right to use homes, with the example one-home.yaml of deploy/examples, and waits until the
// right is in effect.
func (c *testCluster) allowUse(ctx context.Context, user *controlplane.User, namespace string, homes ...string) error {
	text, err := readExample("one-home.yaml", "use-home-alice", useHomesName(user), "alice@corp.example", user.Name,
		"namespace: lab", "namespace: "+namespace, "resourceNames: [alice]", "resourceNames: ["+strings.Join(homes, ", ")+"]")
	if err != nil {
		return err
	}
	if err := c.apply(ctx, text); err != nil {
		return err
	}
	return c.awaitRight(ctx, user.Name, namespace, "use", homes[len(homes)-1])
}

// useHomesName returns the name of the Role and of the RoleBinding that allowUse creates.
func useHomesName(user *controlplane.User) string { return "use-homes-of-" + user.Name }

// allowRunAs makes a ServiceAccount whose Pods may run as the user of a home, by the example run-as.yaml of
// deploy/examples, and waits until this right is in effect.
func (c *testCluster) allowRunAs(ctx context.Context, namespace, account, home string) error {
	text, err := readExample("run-as.yaml", "run-as-alice", "run-as-"+home, "resourceNames: [alice]", "resourceNames: ["+home+"]",
		"namespace: reports", "namespace: "+namespace, "name: nightly", "name: "+account)
	if err != nil {
		return err
	}
	if err := c.apply(ctx, text); err != nil {
		return err
	}
	return c.awaitRight(ctx, "system:serviceaccount:"+namespace+":"+account, namespace, "run-as", home)
}

// allowUseOfEveryHome makes the ServiceAccount of a hub, which may use every home in its own namespace, with the example
// hub.yaml of deploy/examples. It returns a requester that acts as this ServiceAccount.
func (c *testCluster) allowUseOfEveryHome(ctx context.Context, namespace string) (*controlplane.User, error) {
	text, err := readExample("hub.yaml", "namespace: jhub", "namespace: "+namespace)
	if err != nil {
		return nil, err
	}
	account := fmt.Sprintf("{apiVersion: v1, kind: ServiceAccount, metadata: {name: hub, namespace: %s}}\n---\n", namespace)
	if err := c.apply(ctx, account+text); err != nil {
		return nil, err
	}
	hub, err := c.User("system:serviceaccount:"+namespace+":hub", "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	if err != nil {
		return nil, err
	}
	return hub, c.awaitRight(ctx, hub.Name, namespace, "use", dan)
}

// awaitRight waits until the API server's authorizer allows the verb on a home, because the API server reads new roles with
// a short delay.
func (c *testCluster) awaitRight(ctx context.Context, user, namespace, verb, home string) error {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: "jupyter-user.io", Resource: "homes", Name: home,
		},
	}}
	return await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
		answer, err := c.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
}
