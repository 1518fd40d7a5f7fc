package integration

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// cleanupContext is the context of cleanups, because the context of a test has ended when its cleanups run.
var cleanupContext = context.Background()

// A checkedCluster is a cluster with a complete installation. The test uses it through client.Client, and the check command
// reads it through look.
type checkedCluster struct {
	*cluster
	client.Client
	look *check.Cluster
	// manifest is the manifest for the check command. Its webhook configurations have the URL at which the API server calls
	// the webhook.
	manifest *check.Manifest
	ca       []byte
}

// TestCheck tests the check command on one API server: first with a correct installation, then with one change at a
// time. There is no kubelet and no controller manager, so the test creates their objects.
func TestCheck(t *testing.T) {
	t.Parallel()
	l := startChecked(t)
	t.Run("a correct installation", func(t *testing.T) { assertAllOK(t, l) })
	for name, c := range checkCases {
		t.Run(name, func(t *testing.T) {
			c.change(t, l)
			l.assertFinding(t, c.check, c.status, c.message)
		})
	}
	t.Run("defaults of the API server", func(t *testing.T) { checkDefaults(t, l) })
	t.Run("the command and its exit status", func(t *testing.T) { checkCommand(t, l) })
	t.Run("check access", func(t *testing.T) { checkAccess(t, l) })
	t.Run("without the rights", func(t *testing.T) { checkWithoutRights(t, l) })
	t.Run("with the rights of the example", func(t *testing.T) { checkWithRights(t, l) })
	t.Run("a webhook that is down", func(t *testing.T) { checkDown(t, l) })
	t.Run("the webhook called by its Service", func(t *testing.T) { checkByService(t, l) })
}

func startChecked(t *testing.T) *checkedCluster {
	t.Helper()
	c := startWith(t, controlplane.Options{WebhookTimeout: 2}) // The check command compares this timeout with the shipped one.
	api, err := client.New(c.Admin.Config, client.Options{Scheme: scheme.Scheme})
	require.NoError(t, err)
	look, err := check.Connect(c.Admin.Kubeconfig, "")
	require.NoError(t, err)
	l := &checkedCluster{cluster: c, Client: api, look: look}
	l.manifest = manifestOf(t, l.calledByAddress(string(deploy.Install())))
	l.namespace(t, "lab", "baseline")
	for _, file := range []string{"10-serviceaccount", "20-configmap", "30-deployment", "31-service", "70-clusterroles"} {
		require.NoError(t, c.Admin.Do(t.Context(), shipped(t, file+".yaml"), "apply", "-f", "-"))
	}
	for _, file := range []string{"networkpolicy", "one-home"} {
		require.NoError(t, c.Admin.Do(t.Context(), "", "apply", "-f", examples+file+".yaml"))
	}
	require.NoError(t, c.Admin.Do(t.Context(), "", "label", "namespace", "default", "pod-security.kubernetes.io/enforce=baseline"))
	l.createObjects(t)
	return l
}

// calledByAddress returns a manifest in which the webhooks have the URL at which this API server calls them, in place of
// their Service.
func (l *checkedCluster) calledByAddress(manifest string) string {
	service := regexp.MustCompile(`service:\s+name: jupyter-user-webhook\s+namespace: jupyter-user-system\s+path: (\S+)\s+port: 443`)
	return service.ReplaceAllString(manifest, fmt.Sprintf("url: https://0.0.0.0:%d/$1", l.Webhook.Port))
}

func manifestOf(t *testing.T, text string) *check.Manifest {
	t.Helper()
	manifest, err := check.ReadManifest(strings.NewReader(text))
	require.NoError(t, err)
	return manifest
}

// findings returns the findings of the check command with the admin's rights.
func (l *checkedCluster) findings(t *testing.T) []check.Finding {
	t.Helper()
	found, err := check.Run(t.Context(), l.look, check.Options{User: "jupyter-user-check", Version: "v0.2.0", Manifest: l.manifest})
	require.NoError(t, err)
	return found
}

func (l *checkedCluster) assertFinding(t *testing.T, checkID string, status check.Status, says string) {
	t.Helper()
	assertFound(t, l.findings(t), checkID, status, says)
}

func assertFound(t *testing.T, findings []check.Finding, checkID string, status check.Status, says string) {
	t.Helper()
	var others []string
	for _, f := range findings {
		if f.Check != checkID {
			continue
		}
		others = append(others, string(f.Status)+": "+f.Where+": "+f.Message)
		if f.Status == status && strings.Contains(f.Where+": "+f.Message, says) {
			return
		}
	}
	assert.Fail(t, "no such finding", "%s, %s: %s\nbut\n%s", checkID, status, says, strings.Join(others, "\n"))
}

// assertAllOK asserts that every finding is OK, except those of the check "certificate". That check fails because the API
// server calls the webhook by a URL. checkByService tests it with a Service.
func assertAllOK(t *testing.T, l *checkedCluster) {
	findings := l.findings(t)
	for _, f := range findings {
		if f.Check != "certificate" {
			assert.Equal(t, check.OK, f.Status, "%+v", f)
		}
	}
	assertFound(t, findings, "webhooks", check.OK, "as in the manifest given with -f: 1 ValidatingWebhookConfiguration")
	assertFound(t, findings, "certificate", check.Failed, "do not trust the certificate")
	assertFound(t, findings, "dry-run", check.OK, "a notebook of jupyter-user-check would be admitted")
	assertFound(t, findings, "policies", check.OK, "as in the manifest given with -f: 15 ValidatingAdmissionPolicyBindings")
	assertFound(t, findings, "egress", check.OK, "keep Pods from 192.0.2.10; whether the network plugin enforces them cannot be seen")
	assertFound(t, findings, "nodes", check.OK, "containerd://2.4.0")
	assertFound(t, findings, "rbac", check.OK, "Group system:masters")
}

// changeUntilEnd changes an object until the test ends.
func changeUntilEnd[T client.Object](t *testing.T, l *checkedCluster, namespace, name string, object T, change func(T)) {
	t.Helper()
	key := client.ObjectKey{Namespace: namespace, Name: name}
	require.NoError(t, l.Get(t.Context(), key, object))
	before := object.DeepCopyObject().(client.Object)
	change(object)
	require.NoError(t, l.Update(t.Context(), object))
	t.Cleanup(func() {
		now := before.DeepCopyObject().(client.Object)
		require.NoError(t, l.Get(cleanupContext, key, now))
		before.SetResourceVersion(now.GetResourceVersion())
		require.NoError(t, l.Update(cleanupContext, before))
	})
}

// createUntilEnd returns a change that creates objects, and deletes them when the test ends.
func createUntilEnd(objects ...client.Object) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		for _, object := range objects {
			made := object.DeepCopyObject().(client.Object)
			require.NoError(t, l.Create(t.Context(), made))
			t.Cleanup(func() { l.remove(t, made) })
		}
	}
}

// remove deletes an object. It removes the finalizers first, as controllers would do.
func (l *checkedCluster) remove(t *testing.T, object client.Object) {
	t.Helper()
	require.NoError(t, l.Patch(cleanupContext, object, client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`))))
	require.NoError(t, l.Delete(cleanupContext, object))
	if namespace, is := object.(*corev1.Namespace); is {
		require.NoError(t, l.Get(cleanupContext, client.ObjectKeyFromObject(namespace), namespace))
		namespace.Spec.Finalizers = nil
		require.NoError(t, l.SubResource("finalize").Update(cleanupContext, namespace))
	}
}

// checkDown tests the check command while the webhook is down. checkDown runs after the tests that need the webhook.
func checkDown(t *testing.T, l *checkedCluster) {
	l.stop()
	l.assertFinding(t, "dry-run", check.Failed, "the webhook does not respond, so no notebook starts")
}

// checkDefaults tests a manifest that lacks fields with a default. The check command accepts the API server's default in
// these fields, and reports any other value.
func checkDefaults(t *testing.T, l *checkedCluster) {
	before := l.manifest
	defer func() { l.manifest = before }()
	filled := regexp.MustCompile(`\n +(namespaceSelector: \{\}|objectSelector: \{\}|scope: "\*"|matchPolicy: Equivalent|failurePolicy: Fail)\n`)
	text := l.calledByAddress(string(deploy.Install()))
	for filled.MatchString(text) {
		text = filled.ReplaceAllString(text, "\n")
	}
	require.NotRegexp(t, `(?m)^ *matchPolicy`, text)
	l.manifest = manifestOf(t, text)
	for _, f := range l.findings(t) {
		if f.Check == "policies" || f.Check == "webhooks" {
			assert.Equal(t, check.OK, f.Status, "%+v", f)
		}
	}
	policyWith("access.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) {
		p.Spec.MatchConstraints.MatchPolicy = new(admissionv1.Exact)
	})(t, l)
	l.assertFinding(t, "policies", check.Failed, `spec.matchConstraints.matchPolicy is "Exact", not "Equivalent": `)
}
