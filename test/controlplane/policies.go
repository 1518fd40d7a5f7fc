package controlplane

import (
	"context"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// installPolicies applies the manifests in the given order, and waits until their policies are in effect.
func (c *ControlPlane) installPolicies(ctx context.Context, manifests []string) error {
	if len(manifests) == 0 {
		return nil
	}
	for _, manifest := range manifests {
		if err := c.Admin.Do(ctx, manifest, "apply", "--validate=strict", "-f", "-"); err != nil {
			return err
		}
	}
	return c.AwaitPolicies(ctx)
}

// Apply applies a manifest and waits until its policies are in effect.
func (c *ControlPlane) Apply(ctx context.Context, manifest string) error {
	if err := c.Admin.Do(ctx, manifest, "apply", "--validate=strict", "-f", "-"); err != nil {
		return err
	}
	return c.AwaitPolicies(ctx)
}

// AwaitPolicies waits until all stored ValidatingAdmissionPolicies are in effect. Every second the API server reads all
// policies and bindings together, in the order in which they were stored. So AwaitPolicies stores one more policy, a marker
// that denies a certain object. When the marker is in effect, all earlier policies are too.
func (c *ControlPlane) AwaitPolicies(ctx context.Context) error {
	name := "policy-" + rand.String(10)
	policies := c.client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := c.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	policy, binding := markerPolicy(name)
	if _, err := policies.Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("mark the end of the policies: %w", err)
	}
	if _, err := bindings.Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("mark the end of the policies' bindings: %w", err)
	}
	err := await(ctx, func(ctx context.Context) (bool, error) {
		object := &corev1.ConfigMap{ObjectMeta: markerMeta(name)}
		_, err := c.client.CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll},
		})
		if apierrors.IsInvalid(err) && strings.Contains(err.Error(), "marked") {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("wait for the policies to be in effect: %w", err)
	}
	if err := bindings.Delete(ctx, binding.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("remove the mark of the policies' bindings: %w", err)
	}
	if err := policies.Delete(ctx, policy.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("remove the mark of the policies: %w", err)
	}
	return nil
}

func markerPolicy(name string) (*admissionv1.ValidatingAdmissionPolicy,
	*admissionv1.ValidatingAdmissionPolicyBinding) {
	meta := metav1.ObjectMeta{Name: name + "." + markerName}
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: meta,
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				ResourceRules:  []admissionv1.NamedRuleWithOperations{{RuleWithOperations: markerRules()[0]}},
				ObjectSelector: markerSelector(name),
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "marked"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: meta,
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	return policy, binding
}
