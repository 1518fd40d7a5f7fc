package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	process "os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// bg is for what cleans up: a test's own context has ended by then.
var bg = context.Background()

// A looked is a cluster on which everything is installed, and that is looked at.
type looked struct {
	*cluster
	client.Client
	look *check.Cluster
	// manifest is what is installed, with the webhook configurations as a test's API server has to have them.
	manifest *check.Manifest
	ca       []byte
}

// TestCheck is what the check command says of one API server: first as it should be, then with one thing wrong after the
// other. There is no kubelet and no controller manager, so what these would make is made by hand.
func TestCheck(t *testing.T) {
	t.Parallel()
	l := startLooked(t)
	t.Run("a cluster as it should be", func(t *testing.T) { asItShouldBe(t, l) })
	for name, of := range checked {
		t.Run(name, func(t *testing.T) {
			of.change(t, l)
			l.assertFinding(t, of.check, of.status, of.says)
		})
	}
	t.Run("what the API server fills in", func(t *testing.T) { checkFilledIn(t, l) })
	t.Run("the command and its exit status", func(t *testing.T) { checkCommand(t, l) })
	t.Run("who may be whom", func(t *testing.T) { checkAccess(t, l) })
	t.Run("without the rights", func(t *testing.T) { checkWithoutRights(t, l) })
	t.Run("with the rights of the example", func(t *testing.T) { checkWithRights(t, l) })
	t.Run("a webhook that is down", func(t *testing.T) { checkDown(t, l) })
	t.Run("the webhook called by its Service", func(t *testing.T) { byService(t, l) })
}

func startLooked(t *testing.T) *looked {
	t.Helper()
	c := startWith(t, controlplane.Options{WebhookTimeout: 2}) // As shipped, which is what check compares with.
	api, err := client.New(c.Admin.Config, client.Options{Scheme: scheme.Scheme})
	require.NoError(t, err)
	look, err := check.Connect(c.Admin.Kubeconfig, "")
	require.NoError(t, err)
	l := &looked{cluster: c, Client: api, look: look}
	l.manifest = manifestOf(t, l.calledByAddress(string(deploy.Install())))
	l.namespace(t, "lab", "baseline")
	for _, file := range []string{"10-serviceaccount", "20-configmap", "30-deployment", "31-service", "70-clusterroles"} {
		require.NoError(t, c.Admin.Do(t.Context(), shipped(t, file+".yaml"), "apply", "-f", "-"))
	}
	for _, file := range []string{"networkpolicy", "one-home"} {
		require.NoError(t, c.Admin.Do(t.Context(), "", "apply", "-f", examples+file+".yaml"))
	}
	l.furnish(t)
	return l
}

// calledByAddress is a manifest with the webhook where this API server calls it.
func (l *looked) calledByAddress(manifest string) string {
	service := regexp.MustCompile(`service:\s+name: jupyter-user-webhook\s+namespace: jupyter-user-system\s+path: (\S+)\s+port: 443`)
	return service.ReplaceAllString(manifest, fmt.Sprintf("url: https://0.0.0.0:%d/$1", l.Webhook.Port))
}

func manifestOf(t *testing.T, text string) *check.Manifest {
	t.Helper()
	manifest, err := check.ReadManifest(strings.NewReader(text))
	require.NoError(t, err)
	return manifest
}

// furnish makes what controllers and kubelets would.
func (l *looked) furnish(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	deployment := &appsv1.Deployment{}
	require.NoError(t, l.Get(ctx, client.ObjectKey{Namespace: "jupyter-user-system", Name: "jupyter-user-webhook"}, deployment))
	deployment.Status = appsv1.DeploymentStatus{Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
	require.NoError(t, l.Status().Update(ctx, deployment))
	ca, crt, key := issue(t, "jupyter-user-webhook.jupyter-user-system.svc", 90*24*time.Hour)
	l.ca = ca
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	claim := shareClaim("lab")
	for _, object := range []client.Object{
		node, claim, shareVolume("hpc-pv-lab", "/export", "lab"),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "jupyter-user-system", Name: "jupyter-user-webhook-certs"},
			Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": crt, "tls.key": key}},
		&discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4,
			ObjectMeta: metav1.ObjectMeta{Namespace: "jupyter-user-system", Name: "jupyter-user-webhook-x",
				Labels: map[string]string{"kubernetes.io/service-name": "jupyter-user-webhook"}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}, {Addresses: []string{"10.1.0.2"}}}},
	} {
		require.NoError(t, l.Create(ctx, object))
	}
	claim.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}
	require.NoError(t, l.Status().Update(ctx, claim))
	node.Status.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: new(true)}
	node.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: "v1.36.3", ContainerRuntimeVersion: "containerd://2.4.0"}
	require.NoError(t, l.Status().Update(ctx, node))
	// Every namespace that could have notebooks is closed.
	policy := &networkingv1.NetworkPolicy{}
	require.NoError(t, l.Get(ctx, client.ObjectKey{Namespace: "lab", Name: "no-way-to-the-share"}, policy))
	require.NoError(t, l.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: policy.Name},
		Spec: policy.Spec}))
}

func shareClaim(namespace string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hpc-shared-pvc"},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "hpc-pv-" + namespace, StorageClassName: new(""),
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceStorage: resource.MustParse("1Gi")}}},
	}
}

func shareVolume(name, path, namespace string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			ClaimRef:               &corev1.ObjectReference{Namespace: namespace, Name: "hpc-shared-pvc"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "192.0.2.10", Path: path}},
		},
	}
}

// issue makes a CA and a certificate of it.
func issue(t *testing.T, host string, valid time.Duration) (ca, crt, key []byte) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(valid)}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, caKey.Public(), caKey)
	require.NoError(t, err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), caKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	require.NoError(t, err)
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return encode("CERTIFICATE", rootDER), encode("CERTIFICATE", leafDER), encode("PRIVATE KEY", keyDER)
}

// findings of a look, as admin.
func (l *looked) findings(t *testing.T) []check.Finding {
	t.Helper()
	found, err := check.Run(t.Context(), l.look, check.Options{User: "jupyter-user-check", Version: "v0.2.0", Manifest: l.manifest})
	require.NoError(t, err)
	return found
}

func (l *looked) assertFinding(t *testing.T, of string, status check.Status, says string) {
	t.Helper()
	assertFound(t, l.findings(t), of, status, says)
}

func assertFound(t *testing.T, findings []check.Finding, of string, status check.Status, says string) {
	t.Helper()
	var said []string
	for _, f := range findings {
		if f.Check != of {
			continue
		}
		said = append(said, string(f.Status)+": "+f.Where+": "+f.Message)
		if f.Status == status && strings.Contains(f.Where+": "+f.Message, says) {
			return
		}
	}
	assert.Fail(t, "no such finding", "%s, %s: %s\nbut\n%s", of, status, says, strings.Join(said, "\n"))
}

// asItShouldBe: every check is content. The one that looks at how the API server trusts the webhook cannot be, where it calls
// it by an address: see byService.
func asItShouldBe(t *testing.T, l *looked) {
	findings := l.findings(t)
	for _, f := range findings {
		if f.Check != "certificate" {
			assert.Equal(t, check.OK, f.Status, "%+v", f)
		}
	}
	assertFound(t, findings, "webhooks", check.OK, "as in the manifest given with -f: 1 ValidatingWebhookConfiguration")
	assertFound(t, findings, "certificate", check.Failed, "do not trust the certificate")
	assertFound(t, findings, "answers", check.OK, "a notebook of jupyter-user-check would be admitted")
	assertFound(t, findings, "policies", check.OK, "as in the manifest given with -f: 15 ValidatingAdmissionPolicyBindings")
	assertFound(t, findings, "egress", check.OK, "keep Pods from 192.0.2.10; whether the network plugin enforces them cannot be seen")
	assertFound(t, findings, "nodes", check.OK, "containerd://2.4.0")
	assertFound(t, findings, "rbac", check.OK, "Group system:masters")
}

// change makes an object another for one test.
func change[T client.Object](t *testing.T, l *looked, namespace, name string, object T, as func(T)) {
	t.Helper()
	key := client.ObjectKey{Namespace: namespace, Name: name}
	require.NoError(t, l.Get(t.Context(), key, object))
	before := object.DeepCopyObject().(client.Object)
	as(object)
	require.NoError(t, l.Update(t.Context(), object))
	t.Cleanup(func() {
		now := before.DeepCopyObject().(client.Object)
		require.NoError(t, l.Get(bg, key, now))
		before.SetResourceVersion(now.GetResourceVersion())
		require.NoError(t, l.Update(bg, before))
	})
}

// makes creates objects for one test.
func makes(objects ...client.Object) func(*testing.T, *looked) {
	return func(t *testing.T, l *looked) {
		for _, object := range objects {
			made := object.DeepCopyObject().(client.Object)
			require.NoError(t, l.Create(t.Context(), made))
			t.Cleanup(func() { l.remove(t, made) })
		}
	}
}

// remove does what controllers would after a deletion: take finalizers away.
func (l *looked) remove(t *testing.T, object client.Object) {
	t.Helper()
	require.NoError(t, l.Patch(bg, object, client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`))))
	require.NoError(t, l.Delete(bg, object))
	if namespace, is := object.(*corev1.Namespace); is {
		require.NoError(t, l.Get(bg, client.ObjectKeyFromObject(namespace), namespace))
		namespace.Spec.Finalizers = nil
		require.NoError(t, l.SubResource("finalize").Update(bg, namespace))
	}
}

// run runs the command in a process of its own.
func (l *looked) command(t *testing.T, binary, kubeconfig string, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := process.CommandContext(t.Context(), binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *process.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return command.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func program(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "jupyter-user-webhook")
	build := process.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/jupyter-user-webhook")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	return binary
}

func checkCommand(t *testing.T, l *looked) {
	binary := program(t)
	manifest := filepath.Join(t.TempDir(), "install.yaml")
	require.NoError(t, os.WriteFile(manifest, []byte(l.calledByAddress(string(deploy.Install()))), 0o600))
	began := time.Now()
	status, out, errs := l.command(t, binary, l.Admin.Kubeconfig, "check", "-f", manifest)
	t.Logf("check took %s", time.Since(began))
	assert.Equal(t, 1, status, errs)
	assert.Empty(t, errs)
	assert.Regexp(t, `\ASTATUS +CHECK +FINDING\nfailed  certificate +`, out)
	assert.Regexp(t, `\n\d+ failed, 0 unknown, 0 warnings, \d+ ok\n\z`, out)

	status, out, errs = l.command(t, binary, l.Admin.Kubeconfig, "check", "--only=policies")
	assert.Equal(t, 2, status, "Helm has not installed this")
	assert.Contains(t, strings.Join(strings.Fields(out), " "), "helm get manifest jupyter-user-webhook -n jupyter-user-system | "+
		"jupyter-user-webhook check -f -; without Helm, give the manifest that was applied: jupyter-user-webhook check -f deploy/install.yaml")
	assert.Contains(t, errs, "nothing failed, but the result of 1 is unknown")

	status, out, _ = l.command(t, binary, l.Admin.Kubeconfig, "check", "-o", "json", "-n", "nowhere")
	assert.Equal(t, 1, status)
	var findings []check.Finding
	require.NoError(t, json.Unmarshal([]byte(out), &findings))
	assertFound(t, findings, "claims", check.Failed, "namespace nowhere: does not exist")

	for says, args := range map[string][]string{
		`-o "yaml" is none of table, json`:                    {"check", "-o", "yaml"},
		"no such file":                                        {"check", "--kubeconfig", "/nowhere"},
		`context "other" does not exist`:                      {"check", "--context", "other"},
		`required flag(s) "user" not set`:                     {"check", "access"},
		"--as-group needs --as too":                           {"check", "access", "--user", "alice", "--as-group", "x"},
		"it took longer":                                      {"check", "--timeout", "1ns"},
		"has no MutatingWebhookConfiguration: give all of it": {"check", "-f", "../../deploy/examples/checker.yaml"},
		"--filename has an empty value":                       {"check", "-f", ""},
	} {
		status, out, errs := l.command(t, binary, l.Admin.Kubeconfig, args...)
		assert.Equal(t, 2, status, says)
		assert.Empty(t, out, says)
		assert.Contains(t, errs, says)
	}
	status, out, errs = l.command(t, binary, l.Admin.Kubeconfig, "check", "access", "--as", "carol", "--user", "alice", "-n", "lab")
	assert.Zero(t, status, errs)
	assert.Contains(t, out, "carol may be alice in namespace lab\n\nVERB")
	status, out, _ = l.command(t, binary, l.Admin.Kubeconfig, "check", "access", "--as", "mallory", "--user", "alice", "-n", "lab", "-o", "json")
	assert.Equal(t, 1, status)
	assert.Contains(t, out, `"may": false`)
}

// byService has the webhook configuration as it is shipped, with the CA of the certificate. Nobody answers by that Service
// here, so the check that tries says so.
func byService(t *testing.T, l *looked) {
	l.manifest = manifestOf(t, string(deploy.Install()))
	l.assertFinding(t, "webhooks", check.Failed, `webhooks[pods.jupyter-user.io].clientConfig.url was added: "https://0.0.0.0:`)
	l.shipWebhooks(t, l.ca)
	findings := l.findings(t)
	assertFound(t, findings, "webhooks", check.OK, "as in the manifest given with -f: 1 MutatingWebhookConfiguration")
	assertFound(t, findings, "certificate", check.OK, "is for jupyter-user-webhook.jupyter-user-system.svc until")
	l.shipWebhooks(t, nil)
	findings = l.findings(t)
	assertFound(t, findings, "webhooks", check.OK, "as in the manifest given with -f: 1 MutatingWebhookConfiguration")
	assertFound(t, findings, "certificate", check.Failed, "have an empty caBundle")
	other, soon, key := issue(t, "jupyter-user-webhook.jupyter-user-system.svc", 6*24*time.Hour)
	change(t, l, "jupyter-user-system", "jupyter-user-webhook-certs", &corev1.Secret{}, func(s *corev1.Secret) {
		s.Data = map[string][]byte{"tls.crt": soon, "tls.key": key}
	})
	l.shipWebhooks(t, l.ca)
	l.assertFinding(t, "certificate", check.Failed, "do not trust the certificate")
	l.shipWebhooks(t, other)
	l.assertFinding(t, "certificate", check.Warning, "expires on ")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		found, err := check.Run(t.Context(), l.look, check.Options{User: "alice", Manifest: l.manifest})
		require.NoError(c, err)
		for _, f := range found {
			if f.Check == "answers" {
				assert.Equal(c, check.Failed, f.Status)
				assert.Contains(c, f.Message, "the webhook does not respond")
			}
		}
	}, wait, wait/100)
}

// shipWebhooks installs the webhook configurations as they are shipped, with a CA.
func (l *looked) shipWebhooks(t *testing.T, ca []byte) {
	t.Helper()
	require.NoError(t, l.Admin.Do(t.Context(), shipped(t, "50-mutatingwebhookconfiguration.yaml"), "replace", "-f", "-"))
	require.NoError(t, l.Admin.Do(t.Context(), shipped(t, "51-validatingwebhookconfiguration.yaml"), "replace", "-f", "-"))
	var mutating admissionv1.MutatingWebhookConfigurationList
	require.NoError(t, l.List(t.Context(), &mutating))
	for _, c := range mutating.Items {
		for i := range c.Webhooks {
			if c.Name == "00-jupyter-user-webhook" {
				c.Webhooks[i].ClientConfig.CABundle = ca
			}
		}
		require.NoError(t, l.Update(t.Context(), &c))
	}
	var validating admissionv1.ValidatingWebhookConfigurationList
	require.NoError(t, l.List(t.Context(), &validating))
	for _, c := range validating.Items {
		for i := range c.Webhooks {
			if c.Name == "jupyter-user-webhook" {
				c.Webhooks[i].ClientConfig.CABundle = ca
			}
		}
		require.NoError(t, l.Update(t.Context(), &c))
	}
}

// checkDown: nobody serves. It comes near the end: what goes before needs the webhook.
func checkDown(t *testing.T, l *looked) {
	l.stop()
	l.assertFinding(t, "answers", check.Failed, "the webhook does not respond, so no notebook starts")
}

// checkFilledIn: a manifest that leaves out what an API server fills in is asked about, and so is what somebody has added there.
func checkFilledIn(t *testing.T, l *looked) {
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

func checkWithoutRights(t *testing.T, l *looked) {
	look, err := check.Connect(l.carol.Kubeconfig, "")
	require.NoError(t, err)
	findings, err := check.Run(t.Context(), look, check.Options{User: "alice", Manifest: l.manifest})
	require.NoError(t, err)
	for _, f := range findings {
		assert.Equal(t, check.Unknown, f.Status, "%+v", f)
		assert.Contains(t, f.Message, `User "carol" cannot`)
		assert.Contains(t, f.Message, "deploy/examples/checker.yaml")
	}
	require.Error(t, check.Judge(findings))
	_, err = check.Access(t.Context(), look, check.AccessQuery{As: "carol", User: "alice", Namespace: "lab"})
	require.ErrorContains(t, err, `User "carol" cannot list`)
}

// checkWithRights: the ClusterRole that is shipped for it is enough, and none of it writes anything.
func checkWithRights(t *testing.T, l *looked) {
	require.NoError(t, l.Admin.Do(t.Context(), "", "apply", "-f", examples+"checker.yaml"))
	user, err := l.User("oscar@corp.example")
	require.NoError(t, err)
	look, err := check.Connect(user.Kubeconfig, "")
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		findings, err := check.Run(t.Context(), look, check.Options{User: "alice", Manifest: l.manifest})
		require.NoError(c, err)
		for _, f := range findings {
			assert.NotContains(c, f.Message, "unknown without the right to read", "%+v", f)
		}
		_, err = check.Access(t.Context(), look, check.AccessQuery{As: "carol", User: "alice", Namespace: "lab"})
		assert.NoError(c, err)
	}, wait, wait/100)
	findings, err := check.Run(t.Context(), look, check.Options{Only: []string{"webhooks", "policies"}})
	require.NoError(t, err)
	require.Len(t, findings, 2)
	for _, f := range findings {
		assert.Equal(t, check.Unknown, f.Status)
		assert.Contains(t, f.Message, "jupyter-user-webhook check -f -, or have it read Helm's record of the release: ")
		assert.Contains(t, f.Message, `User "oscar@corp.example" cannot list resource "secrets"`)
	}
	policyWith("access.jupyter-user.io", func(p *admissionv1.ValidatingAdmissionPolicy) { p.Spec.FailurePolicy = new(admissionv1.Ignore) })(t, l)
	findings, err = check.Run(t.Context(), look, check.Options{Only: []string{"policies"}, Manifest: l.manifest})
	require.NoError(t, err)
	assertFound(t, findings, "policies", check.Failed, `spec.failurePolicy is "Ignore", not "Fail" (without the right to update it`)
	assertFound(t, findings, "policies", check.OK, "15 ValidatingAdmissionPolicyBindings")
	var role rbacv1.ClusterRole
	require.NoError(t, l.Get(t.Context(), client.ObjectKey{Name: "jupyter-user-checker"}, &role))
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			writes := verb != "get" && verb != "list"
			assert.False(t, writes && (verb != "create" || rule.APIGroups[0] != "authorization.k8s.io"), "%v", rule)
		}
	}
}
