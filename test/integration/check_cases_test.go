package integration

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/deploy"
)

// checkCases has changes to a correct installation, each with the finding that the check command must report.
var checkCases = map[string]struct {
	change  func(*testing.T, *checkedCluster)
	check   string
	status  check.Status
	message string
}{
	"a certificate that is missing": {func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "jupyter-user-system", "jupyter-user-webhook-certs", &corev1.Secret{}, func(s *corev1.Secret) {
			s.Data = map[string][]byte{"tls.crt": nil, "tls.key": nil}
		})
	}, "certificate", check.Failed, "has no certificate in tls.crt"},
	"a webhook with failurePolicy Ignore": {func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", "00-jupyter-user-webhook", &admissionv1.MutatingWebhookConfiguration{},
			func(c *admissionv1.MutatingWebhookConfiguration) {
				c.Webhooks[0].FailurePolicy = new(admissionv1.Ignore)
			})
	}, "webhooks", check.Failed, `webhooks[pods.jupyter-user.io].failurePolicy is "Ignore", not "Fail"`},
	"a webhook with failurePolicy Ignore in mode Enforce": {func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", "00-jupyter-user-webhook", &admissionv1.MutatingWebhookConfiguration{},
			func(c *admissionv1.MutatingWebhookConfiguration) {
				c.Webhooks[0].FailurePolicy = new(admissionv1.Ignore)
			})
	}, "mode", check.Failed, "MutatingWebhookConfiguration pods.jupyter-user.io: if the webhook does not respond, Pods are admitted unchanged, and the " +
		"webhook's configuration says mode: Enforce"},
	"a further webhook": {mutatingWith(func(c *admissionv1.MutatingWebhookConfiguration) {
		more := c.Webhooks[0].DeepCopy()
		more.Name = "more.jupyter-user.io"
		c.Webhooks = append(c.Webhooks, *more)
	}), "webhooks", check.Failed, "webhooks has 5 elements, not 4"},
	"a missing webhook": {mutatingWith(func(c *admissionv1.MutatingWebhookConfiguration) { c.Webhooks = c.Webhooks[:3] }), "webhooks",
		check.Failed, "webhooks has 3 elements, not 4"},
	"a webhook with a namespaceSelector": {mutatingWith(func(c *admissionv1.MutatingWebhookConfiguration) {
		c.Webhooks[0].NamespaceSelector.MatchLabels = map[string]string{"x": "y"}
	}), "webhooks", check.Failed, `webhooks[pods.jupyter-user.io].namespaceSelector.matchLabels was added: {"x":"y"}`},
	"a webhook with a long timeout": {mutatingWith(func(c *admissionv1.MutatingWebhookConfiguration) {
		c.Webhooks[3].TimeoutSeconds = new(int32(30))
	}), "webhooks", check.Failed, "webhooks[restricted-hub-pods.jupyter-user.io].timeoutSeconds is 30, not 2"},
	"a verifier with a namespaceSelector": {verifierWith(func(w *admissionv1.ValidatingWebhook) {
		w.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}
	}), "webhooks", check.Failed, `webhooks[verified-pods.jupyter-user.io].namespaceSelector.matchLabels was added: {"x":"y"}`},
	"a verifier with failurePolicy Ignore": {verifierWith(func(w *admissionv1.ValidatingWebhook) { w.FailurePolicy = new(admissionv1.Ignore) }), "webhooks",
		check.Failed, `webhooks[verified-pods.jupyter-user.io].failurePolicy is "Ignore", not "Fail"`},
	"a verifier that is missing": {deleteUntilEnd(&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "jupyter-user-webhook"}}),
		"webhooks", check.Failed, "ValidatingWebhookConfiguration jupyter-user-webhook: is missing"},
	"a policy that is missing": {deleteUntilEnd(&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "net.jupyter-user.io"}}),
		"policies", check.Failed, "ValidatingAdmissionPolicy net.jupyter-user.io: is missing: helm upgrade"},
	"a binding that is missing": {deleteUntilEnd(&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "hub-net.jupyter-user.io"}}),
		"policies", check.Failed, "ValidatingAdmissionPolicyBinding hub-net.jupyter-user.io: is missing: helm upgrade"},
	"a policy with failurePolicy Ignore": {policyWith("access.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.FailurePolicy = new(admissionv1.Ignore)
	}), "policies", check.Failed, `ValidatingAdmissionPolicy access.jupyter-user.io: was changed by hand, not as in the manifest given with -f: ` +
		`spec.failurePolicy is "Ignore", not "Fail": `},
	"a policy with another expression": {policyWith("access.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.Validations[2].Expression += " || request.userInfo.username == 'mallory'"
	}), "policies", check.Failed, `spec.validations[2].expression differs: " || request.userInfo.username == 'mallory'" in place of ""`},
	"a policy with excludeResourceRules": {policyWith("access.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.MatchConstraints.ExcludeResourceRules = []admissionv1.NamedRuleWithOperations{{ResourceNames: []string{"x"},
			RuleWithOperations: admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{"CREATE"},
				Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}}}
	}), "policies", check.Failed, "spec.matchConstraints.excludeResourceRules was added: "},
	"a policy with a namespaceSelector": {policyWith("share.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.MatchConstraints.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}
	}), "policies", check.Failed, `spec.matchConstraints.namespaceSelector.matchLabels was added: {"x":"y"}`},
	"a policy of another release": {policyWith("net.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Annotations["jupyter-user.io/rendered"] = "v0.0.9-0123456789ab"
		p.Spec.Validations[1].Message = "as it was"
	}), "policies", check.Failed, `is of another release or other values ("v0.0.9-0123456789ab", not "v0.2.0-`},
	"a policy that is not in the manifest": {createUntilEnd(&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "injected.jupyter-user.io"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{Validations: []admissionv1.Validation{{Expression: "true"}},
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{"CREATE"},
					Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}}}}}}), "policies",
		check.Warning, "ValidatingAdmissionPolicy injected.jupyter-user.io: is not part of the manifest given with -f"},
	"a webhook configuration that is not in the manifest": {createUntilEnd(&admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "jupyter-user-webhook"}}), "webhooks", check.Warning, "MutatingWebhookConfiguration " +
		"jupyter-user-webhook: is not part of the manifest given with -f: it is left over from another release, or was created by hand: kubectl delete " +
		"mutatingwebhookconfiguration jupyter-user-webhook"},
	"a user who writes NetworkPolicies": {createUntilEnd(roleBinding("lab", "editor", "system:aggregate-to-edit", userSubject("eve"))), "rbac", check.Warning,
		"User eve (RoleBinding lab/editor): may write NetworkPolicies in namespaces with notebooks"},
	"a user who reads logs": {createUntilEnd(roleBinding("lab", "viewer", "system:aggregate-to-view", userSubject("eve"))), "rbac", check.Warning,
		"User eve (RoleBinding lab/viewer): may read logs of Pods in namespaces with notebooks"},
	"a webhook with a condition": {func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", "00-jupyter-user-webhook", &admissionv1.MutatingWebhookConfiguration{},
			func(c *admissionv1.MutatingWebhookConfiguration) {
				c.Webhooks[1].MatchConditions = append(c.Webhooks[1].MatchConditions, admissionv1.MatchCondition{Name: "x", Expression: "false"})
			})
	}, "webhooks", check.Failed, "webhooks[restricted-pods.jupyter-user.io].matchConditions has 2 elements, not 1"},
	"one replica": {func(t *testing.T, l *checkedCluster) { setReplicas(t, l, 1) }, "reachable", check.Warning, "has one replica"},
	"no replica":  {func(t *testing.T, l *checkedCluster) { setReplicas(t, l, 0) }, "reachable", check.Failed, "has no replica"},
	"a policy with a condition": {policyWith("access.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.MatchConditions = append(p.Spec.MatchConditions, admissionv1.MatchCondition{Name: "x", Expression: "request.userInfo.username != 'mallory'"})
	}), "policies", check.Failed, "ValidatingAdmissionPolicy access.jupyter-user.io: was changed by hand, not as in the manifest given with -f: spec.matchConditions has 2 elements, not 1"},
	"a policy without one of its validations": {policyWith("net.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.Validations = p.Spec.Validations[1:]
	}), "policies", check.Failed, "spec.validations has "},
	"a policy with an objectSelector": {policyWith("node.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.MatchConstraints.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}
	}), "policies", check.Failed, `spec.matchConstraints.objectSelector.matchLabels was added: {"x":"y"}`},
	"a binding that only warns": {bindingWith(func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
		b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
	}), "policies", check.Failed, `ValidatingAdmissionPolicyBinding share.jupyter-user.io: was changed by hand, not as in the manifest given with -f: ` +
		`spec.validationActions[0] is "Warn", not "Deny"`},
	"a binding that only warns in mode Enforce": {bindingWith(func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
		b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
	}), "mode", check.Failed, "ValidatingAdmissionPolicyBinding share.jupyter-user.io: Pods are warned about instead of denied, and the " +
		"webhook's configuration says mode: Enforce"},
	"a binding with a namespaceSelector": {bindingWith(func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
		b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}}
	}), "policies", check.Failed, `spec.matchResources was added: {"matchPolicy":"Equivalent","namespaceSelector":{"matchLabels":{"x":"y"}}`},
	"a binding with a further objectSelector": {hubBindingWith(func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
		b.Spec.MatchResources.ObjectSelector.MatchLabels = map[string]string{"x": "y"}
	}), "policies", check.Failed, `spec.matchResources.objectSelector.matchLabels was added: {"x":"y"}`},
	"policies of another directory of homes": {changeRecord("home", "elsewhere/{user}"), "parameters", check.Failed,
		`the policies are rendered with home: "elsewhere/{user}", and the webhook's configuration says "home/{user}"`},
	"policies without the image": {changeRecord("images", []string{"other:v1"}), "parameters", check.Failed,
		"images of the policies lacks jupyter-user-webhook:v0.2.0"},
	"policies with a further image": {changeRecord("images", []string{"jupyter-user-webhook:v0.2.0", "old:v0"}), "parameters", check.Warning,
		"the policies accept old:v0"},
	"policies rendered from other values": {func(t *testing.T, l *checkedCluster) {
		before := l.manifest
		l.manifest = manifestOf(t, strings.ReplaceAll(strings.ReplaceAll(l.calledByAddress(string(deploy.Install())), `["hpc-shared-pvc"]`, `["other"]`),
			"jupyter-user.io/rendered: v0.2.0-", "jupyter-user.io/rendered: v0.2.0-x"))
		t.Cleanup(func() { l.manifest = before })
	}, "policies", check.Failed, "ValidatingAdmissionPolicy share.jupyter-user.io: is of another release or other values (\"v0.2.0-"},
	"everyone's own home, without a prefix or suffix": {changeRecord("ownHomes", map[string]any{"enabled": true, "prefix": "", "suffix": ""}), "parameters", check.Warning,
		"says ownHomes: Yes without"},
	"a configuration that cannot be read": {func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "jupyter-user-system", "jupyter-user-webhook", &corev1.ConfigMap{}, func(m *corev1.ConfigMap) {
			m.Data["config.yaml"] = "kind: Nonsense"
		})
	}, "parameters", check.Failed, "is not a configuration that the webhook accepts"},
	"an unbound claim in a namespace without Pod Security": {func(t *testing.T, l *checkedCluster) {
		createOpenNamespace(t, l)
	}, "claims", check.Failed, "namespace open: its claim hpc-shared-pvc is not bound"},
	"a namespace without Pod Security": {func(t *testing.T, l *checkedCluster) {
		createOpenNamespace(t, l)
	}, "pod-security", check.Failed, "namespace open: enforces the Pod Security Standard privileged, so notebooks are denied"},
	"a namespace without Pod Security, with podSecurity off": {func(t *testing.T, l *checkedCluster) {
		createOpenNamespace(t, l)
		changeRecord("podSecurity", "off")(t, l)
	}, "pod-security", check.Warning, "podSecurity is off"},
	"a namespace with rights and no claim": {createUntilEnd(roleBinding("default", "x", "jupyter-user-use-every-home", userSubject("zoe"))), "claims",
		check.Failed, "namespace default: has no claim hpc-shared-pvc"},
	"a hub": {createUntilEnd(roleBinding("lab", "hub", "jupyter-user-use-every-home", serviceAccount("lab", "hub"))), "rbac", check.Warning,
		"RoleBinding lab/hub: may be any user: ServiceAccount lab/hub may use every home in namespace lab"},
	"every home for all authenticated users": {createUntilEnd(roleBinding("lab", "all", "jupyter-user-use-every-home", groupSubject("system:authenticated"))), "rbac",
		check.Failed, "gives use every home in namespace lab to Group system:authenticated"},
	"run-as without names": {createUntilEnd(role("lab", "runner", nil, "run-as"), localBinding("lab", "runner", serviceAccount("lab", "runner"))),
		"rbac", check.Failed, "RoleBinding lab/runner: lets anyone who can create Pods in namespace lab be any user, by ServiceAccount lab/runner"},
	"a hub that runs as a user": {createUntilEnd(role("lab", "hub", []string{"alice"}, "run-as"), localBinding("lab", "hub", serviceAccount("lab", "hub")),
		roleBinding("lab", "hub2", "jupyter-user-use-every-home", serviceAccount("lab", "hub"))), "rbac", check.Failed,
		"gives run-as to ServiceAccount lab/hub, which may use every home"},
	"a binding of cluster-admin": {createUntilEnd(clusterBinding("boss", "cluster-admin", userSubject("boss"))), "rbac", check.Warning,
		"ClusterRoleBinding boss: may be any user: User boss in every namespace"},
	"rights to homes aggregated into edit": {createUntilEnd(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "sneaky",
		Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
		Rules: []rbacv1.PolicyRule{mayUse()}}), "rbac", check.Failed, "ClusterRole sneaky: has rights to homes and is " +
		"aggregated into the ClusterRole edit"},
	"a volume without claimRef": {createUntilEnd(volumeWith("hpc-pv-2", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil })), "volumes",
		check.Failed, "PersistentVolume hpc-pv-2: has no claimRef"},
	"a volume for another claim": {createUntilEnd(volumeWith("hpc-pv-2", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name = "mine" })), "volumes",
		check.Failed, "is for the claim lab/mine, which is not among the share's claims in the policies"},
	"another volume of the same export": {createUntilEnd(volumeWith("other", func(v *corev1.PersistentVolume) { v.Spec.NFS.Path = "/export/home/" })),
		"volumes", check.Failed, "PersistentVolume other: leads to the same export as hpc-pv-lab"},
	"a StorageClass of the same export": {createUntilEnd(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "nfs"},
		Provisioner: "nfs.csi.k8s.io", Parameters: map[string]string{"server": "192.0.2.10", "share": "/",
			"subDir": "${pvc.metadata.name}"}}), "volumes", check.Failed, "StorageClass nfs: leads to the same export"},
	"a NetworkPolicy that allows the NFS server": {createUntilEnd(&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "open"},
		Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress: []networkingv1.NetworkPolicyEgressRule{{}}}}), "egress", check.Failed,
		"namespace lab: the NetworkPolicy open lets Pods reach the NFS server 192.0.2.10"},
	"a namespace without a NetworkPolicy": {createUntilEnd(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}), "egress", check.Warning,
		"in 1 namespace without notebooks Pods may reach the NFS server too: bare"},
	"a namespace whose Pods may use the host's network": {createUntilEnd(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "privileged-pods"}}), "egress", check.Warning, "in 1 namespace without notebooks Pods may use the host's network, which no NetworkPolicy restricts: privileged-pods"},
	"an old node": {func(t *testing.T, l *checkedCluster) { createOldNode(t, l) }, "nodes", check.Failed,
		"1 of 2 nodes do not support supplementalGroupsPolicy, so notebooks do not start there: n2 (containerd://1.7.0)"},
	"an old kubelet": {func(t *testing.T, l *checkedCluster) { createOldNode(t, l) }, "versions", check.Warning, "1 kubelet older than 1.33: n2 (v1.30.0)"},
	"another image": {func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "jupyter-user-system", "jupyter-user-webhook", &appsv1.Deployment{}, func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Image = "registry.example:5000/jupyter-user-webhook:v0.2.0@sha256:" +
				"0000000000000000000000000000000000000000000000000000000000000000"
		})
	}, "versions", check.Warning, "and the configuration's init.image is jupyter-user-webhook:v0.2.0"},
	"a subject's name with control characters": {createUntilEnd(clusterBinding("boss2", "cluster-admin", userSubject("\x1b[2J\u202e"))), "rbac", check.Warning,
		`may be any user: User \x1b[2J\u202e in every namespace`},
}
