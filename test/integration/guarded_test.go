package integration

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// shippedPolicies returns the manifests of the shipped policies and of the objects that they need.
func shippedPolicies(t *testing.T) []string {
	t.Helper()
	manifests, err := deploy.Policies()
	require.NoError(t, err)
	return manifests
}

// A guarded cluster has the policies, the verifier or both, and no mutating webhook. Tests create Pods as the webhook
// makes them, and similar Pods of attackers, which the policies or the verifier must deny.
type guarded struct {
	*controlplane.ControlPlane
	// In the namespaces lab, open, privileged and strict, carol may use the homes of alice and qiang.guo03, hub may use
	// every home, and bob may use none. All three have the rights of withPods.
	carol, bob, hub kubernetes.Interface
	// verifier is nil unless startVerifiedWith has started the cluster. configured is the verifier's configuration.
	verifier   *verifier
	configured *config.Config
	log        *journal.Journal
}

// withPods has the rights to Pods, their subresources and claims that the tests need.
var withPods = rbacv1.PolicyRule{
	APIGroups: []string{""}, Verbs: []string{"create", "get", "list", "patch", "update", "delete", "deletecollection"},
	Resources: []string{"pods", "pods/status", "pods/resize", "pods/ephemeralcontainers", "pods/binding", "bindings", "pods/exec",
		"pods/attach", "persistentvolumeclaims", "persistentvolumeclaims/status"},
}

func mayUse(homes ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"jupyter-user.io"}, Resources: []string{"homes"}, ResourceNames: homes,
		Verbs: []string{"use"}}
}

// renderedPolicies returns the manifests of the policies that the chart renders for these values, and of the webhook's
// namespace.
func renderedPolicies(ctx context.Context, t *testing.T, values string) (manifests []string) {
	t.Helper()
	packager, err := helm.New(ctx, t.Output(), t.TempDir())
	require.NoError(t, err)
	rendered, err := packager.Template(ctx, values, "--set=createNamespace=true")
	require.NoError(t, err)
	for _, file := range rendered.Files() {
		if file == "00-namespace.yaml" || strings.HasPrefix(file, "6") {
			manifest, err := rendered.Read(file)
			require.NoError(t, err)
			manifests = append(manifests, manifest)
		}
	}
	return manifests
}

// installPoliciesFor replaces the policies of a cluster by the policies that the chart renders for these values.
func installPoliciesFor(ctx context.Context, t *testing.T, plane *controlplane.ControlPlane, values string) {
	t.Helper()
	require.NoError(t, plane.Apply(ctx, strings.Join(renderedPolicies(ctx, t, values), "\n---\n")))
}

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	return startGuardedBy(t, controlplane.Options{Policies: shippedPolicies(t)})
}

func startGuardedBy(t *testing.T, options controlplane.Options) *guarded {
	t.Helper()
	options.Progress, options.WebhookTimeout = t.Output(), patientTimeout
	plane, err := controlplane.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, plane.Stop()) })
	g := &guarded{ControlPlane: plane, log: &journal.Journal{}}
	for name, level := range map[string]string{"lab": "baseline", "open": "", "privileged": "privileged", "strict": "restricted"} {
		labels := map[string]string{}
		if level != "" {
			labels["pod-security.kubernetes.io/enforce"] = level
		}
		require.NoError(t, plane.Namespace(t.Context(), name, labels))
		g.allow(t, name, "carol", withPods, mayUse("alice", "qiang.guo03"))
		g.allow(t, name, "bob", withPods)
		g.allow(t, name, "system:serviceaccount:hub:hub", withPods, mayUse())
	}
	g.carol, g.bob, g.hub = g.clientOf(t, "carol"), g.clientOf(t, "bob"), g.clientOf(t, "system:serviceaccount:hub:hub")
	return g
}

// clientOf returns a client of a user or of a ServiceAccount.
func (g *guarded) clientOf(t *testing.T, name string) kubernetes.Interface {
	t.Helper()
	user, err := g.User(name)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(user.Config)
	require.NoError(t, err)
	return client
}

func (g *guarded) admin(t *testing.T) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(g.Admin.Config)
	require.NoError(t, err)
	return client
}

func (g *guarded) allow(t *testing.T, namespace, name string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	require.NoError(t, g.Allow(t.Context(), namespace, &controlplane.User{Name: name}, rules...))
}

// createAccount creates a ServiceAccount in namespace lab, with rights.
func (g *guarded) createAccount(t *testing.T, name string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	_, err := g.admin(t).CoreV1().ServiceAccounts("lab").Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	g.allow(t, "lab", "system:serviceaccount:lab:"+name, rules...)
}

// injected returns a Pod as the webhook makes it, with discovery at admission for alice and at start for all other users.
func injected(t *testing.T, user string, before ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	return injectedBy(t, config.Default(), user, before...)
}

func injectedBy(t *testing.T, configured *config.Config, user string, before ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	document := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "nb-", Labels: map[string]string{"jupyter-user": user},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: "quay.io/jupyter/minimal-notebook"}}},
	}
	for _, change := range before {
		change(document)
	}
	raw, err := json.Marshal(document)
	require.NoError(t, err)
	d := decider(configured, raw).Decide(t.Context(), webhook.Review{Pod: raw, Namespace: "lab"})
	require.Empty(t, d.Denials)
	raw, err = pod.Apply(raw, d.Operations)
	require.NoError(t, err)
	return decode(t, string(raw))
}

// create creates a Pod in a dry run. The rules that deny a real creation also deny the dry run.
func create(ctx context.Context, client kubernetes.Interface, namespace string, pod *corev1.Pod) error {
	_, err := client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// createStored creates a Pod in namespace lab, not in a dry run.
func createStored(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	kept, err := client.CoreV1().Pods("lab").Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	return kept
}
