package controlplane

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// Namespace creates a namespace and its ServiceAccount default. Pods can be created there immediately. The labels can make
// Pod Security enforce a standard.
//
// Namespace does not wait until the API server's caches have the new objects: the admission plugins that need a namespace
// or a ServiceAccount read it from etcd if their caches do not have it yet.
func (c *ControlPlane) Namespace(ctx context.Context, name string, labels map[string]string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return c.createServiceAccount(ctx, name)
}

// createServiceAccount creates the ServiceAccount default, as a controller manager would. Without it, no Pod is admitted.
func (c *ControlPlane) createServiceAccount(ctx context.Context, namespace string) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err := c.client.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the default ServiceAccount of namespace %s: %w", namespace, err)
	}
	return nil
}

// grantResource is the name of a resource that does not exist. Each role that Allow creates has a right to this resource.
// When the API server grants this right, it has read the role.
const grantResource = "grants"

// Allow gives a user rights in a namespace, with a new Role and RoleBinding, and waits until they are in effect.
func (c *ControlPlane) Allow(ctx context.Context, namespace string, user *User, rules ...rbacv1.PolicyRule) error {
	name := "allow-" + rand.String(10)
	// The API server reads roles by a watch, so a new role is in effect a little later. The role has one right that no
	// other role has. When the user has this right, the user has all rights of the role.
	seen := rbacv1.PolicyRule{APIGroups: []string{markerName}, Resources: []string{grantResource},
		ResourceNames: []string{name}, Verbs: []string{"get"}}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: append([]rbacv1.PolicyRule{seen}, rules...)}
	if _, err := c.client.RbacV1().Roles(namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create a role for %s: %w", user.Name, err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user.Name}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
	}
	if _, err := c.client.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("bind %s to its role: %w", user.Name, err)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Name,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: "get", Group: markerName, Resource: grantResource, Name: name,
		},
	}}
	err := await(ctx, func(ctx context.Context) (bool, error) {
		reviewed, err := c.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && reviewed.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("wait for the rights of %s to be in effect: %w", user.Name, err)
	}
	return nil
}
