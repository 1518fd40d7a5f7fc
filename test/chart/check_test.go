package chart

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/certs"
	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// An installation is a cluster for tests of the check command, of helm test, and of the commands on the pages. The test
// installs the chart in the cluster. The webhook runs in the process of the test. program is the path of the program
// jupyter-user-webhook, which the test has built.
type installation struct {
	*lifecycle
	look    *check.Cluster
	program string
	// served has the address of the webhook, a string. The API server connects to this address through an egress proxy, in
	// place of the Service. stop ends the webhook.
	served atomic.Value
	stop   func()
	pair   pki.Pair
}

// TestCheckWithModeAndNamespaces follows the section "The first days: mode Warn" of deploy/docs/runbook.md: mode Warn in
// one namespace, then mode Enforce there, then mode Enforce everywhere. After each step the check command must report
// exactly the expected findings as warning or failed. helm test must have the expected result in both modes. After a
// binding was changed by hand, the commands that the check command prints must repair the binding.
func TestCheckWithModeAndNamespaces(t *testing.T) {
	t.Parallel()
	l := beginInstallation(t)
	require.NoError(t, l.Admin.Do(t.Context(), "", "label", "namespace", "default", "pod-security.kubernetes.io/enforce=baseline"))
	l.run(t, fmt.Sprintf("{mode: Warn, onlyNamespaces: [lab], namespaces: [lab], share: {nfs: {server: 192.0.2.10}}, "+
		"access: {rights: [{namespace: lab, user: carol, homes: [alice]}]}, certificates: {source: secret, caBundle: %q}}", l.pair.Cert), "install", helm.Release, l.chart,
		"--namespace", helm.Namespace, "--values", "-")
	l.createObjects(t)
	const (
		warns    = "mode: Warn: nothing is changed and nothing is denied, so no promise of this project holds. When the warnings are "
		enforces = "mode: Enforce: Pods become notebooks, or are denied"
		admits   = "a notebook of jupyter-user-check would be admitted"
		leaves   = "the webhook responds, and leaves the Pod as it is (mode Warn): would become a notebook of jupyter-user-check"
		tried    = "dry-run: namespace lab: "
	)
	l.serve(t)
	t.Run("mode Warn in one namespace", func(t *testing.T) {
		l.awaitFindings(t, map[string]check.Status{warns + "as you want them: " + upgradeCommand + "mode=Enforce'": check.Warning, inLab: check.Warning}, tried+leaves,
			"webhooks: as in revision 1 of the Helm release jupyter-user-webhook: 1 ValidatingWebhookConfiguration",
			"policies: as in revision 1 of the Helm release jupyter-user-webhook: 15 ValidatingAdmissionPolicyBindings")
		l.helmTest(t, leaves)
	})
	l.upgrade(t, "mode=Enforce")
	t.Run("a webhook that has not read the ConfigMap yet", func(t *testing.T) {
		l.awaitFindings(t, map[string]check.Status{tried + "the webhook is still in mode Warn, and the ConfigMap says Enforce": check.Failed,
			inLab: check.Warning})
	})
	l.serve(t)
	t.Run("mode Enforce in one namespace", func(t *testing.T) {
		l.awaitFindings(t, map[string]check.Status{inLab: check.Warning}, enforces, tried+admits)
		l.helmTest(t, admits)
	})
	t.Run("a binding that only warns, in every namespace", func(t *testing.T) { l.repairBinding(t) })
	l.upgrade(t, "onlyNamespaces=null")
	t.Run("mode Enforce everywhere", func(t *testing.T) {
		l.awaitFindings(t, nil, enforces, "policies: as in revision 4 of the Helm release jupyter-user-webhook: 15 ValidatingAdmissionPolicyBindings",
			tried+admits)
	})
	t.Run("a given manifest", func(t *testing.T) { l.checkManifests(t) })
	l.upgrade(t, "mode=Warn")
	l.serve(t)
	t.Run("mode Warn everywhere", func(t *testing.T) {
		l.awaitFindings(t, map[string]check.Status{warns: check.Warning}, tried+leaves,
			"policies: as in revision 5 of the Helm release jupyter-user-webhook: 15 ValidatingAdmissionPolicyBindings")
		l.helmTest(t, leaves)
	})
	l.stop()
	t.Run("mode Warn while the webhook is down", func(t *testing.T) {
		l.awaitFindings(t, map[string]check.Status{warns: check.Warning,
			tried + "a labelled Pod does not reach the webhook, or no replica responds": check.Failed})
	})
	l.upgrade(t, "mode=Enforce")
	l.serve(t)
	l.awaitFindings(t, nil, enforces, tried+admits)
	t.Run("the output on the page", func(t *testing.T) { l.compareWithPage(t) })
}

// inLab is the warning of the check command that with the value onlyNamespaces: [lab], no other namespace is protected.
const inLab = "mode: in effect in namespace lab alone (onlyNamespaces)"

// upgradeCommand is the beginning of the command that the check command prints as the remedy for an installation with
// Helm.
const upgradeCommand = "helm upgrade jupyter-user-webhook deploy/chart --namespace jupyter-user-system --reset-then-reuse-values --set '"

// repairBinding changes a binding by hand, so that the binding only warns, but in every namespace. Then it repairs the
// binding with the two commands that the check command prints: kubectl delete and helm upgrade. helm upgrade alone does
// not repair a field that another client has written.
func (l *installation) repairBinding(t *testing.T) {
	bindings := l.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	_, err := bindings.Patch(t.Context(), "share.jupyter-user.io", types.MergePatchType,
		[]byte(`{"spec": {"validationActions": ["Warn", "Audit"], "matchResources": null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	const (
		where  = "ValidatingAdmissionPolicyBinding share.jupyter-user.io: "
		before = "'. If the difference remains, another field manager has written it: first kubectl delete validatingadmissionpolicybinding " +
			"share.jupyter-user.io, during which it is not in effect"
	)
	l.awaitFindings(t, map[string]check.Status{
		"mode: " + where + "Pods are warned about instead of denied, and the webhook's configuration says mode: Enforce: " + upgradeCommand +
			"mode=Enforce" + before: check.Failed,
		"mode: " + where + "in effect in every namespace, and the installation is for namespace lab alone: install again with the right onlyNamespaces: " + upgradeCommand +
			"onlyNamespaces={...}" + before: check.Failed,
		"policies: " + where + "was changed by hand, not as in revision 2 of the Helm release jupyter-user-webhook: " +
			"spec.matchResources is missing, spec.validationActions has 2 elements, not 1: helm upgrade ": check.Failed,
		inLab: check.Warning,
	})
	require.NoError(t, l.Admin.Do(t.Context(), "", "delete", "validatingadmissionpolicybinding", "share.jupyter-user.io"))
	l.upgrade(t, "mode=Enforce")
	l.awaitFindings(t, map[string]check.Status{inLab: check.Warning})
}

// checkManifests runs the check command with two given manifests: the output of helm get manifest, and the output of
// helm template with other values.
func (l *installation) checkManifests(t *testing.T) {
	for text, message := range map[string]string{
		l.run(t, "", "get", "manifest", helm.Release, "--namespace", helm.Namespace): "ok: as in the manifest given with -f: 11 ValidatingAdmissionPolicies",
		l.run(t, "", "template", helm.Release, l.chart, "--namespace", helm.Namespace, "--set", "share.csiDrivers={csi.example.com}",
			"--set", "share.nfs.server=192.0.2.10"): "failed: is of another release or other values (\"v0.2.0-",
	} {
		manifest, err := check.ReadManifest(strings.NewReader(text))
		require.NoError(t, err)
		found, err := check.Run(t.Context(), l.look, check.Options{Only: []string{"webhooks", "policies"}, Manifest: manifest})
		require.NoError(t, err)
		var texts []string
		for _, f := range found {
			texts = append(texts, string(f.Status)+": "+f.Message)
		}
		assert.Contains(t, strings.Join(texts, "\n"), message)
	}
}

// compareWithPage compares the output of the check command with testdata/check.txt, which deploy/docs/check.md shows.
// Before that, it creates a namespace without Pod Security and a hub's RoleBinding, and changes a policy by hand. It
// replaces dates and the version of the API server by those in testdata/check.txt.
func (l *installation) compareWithPage(t *testing.T) {
	ctx, made := t.Context(), metav1.CreateOptions{}
	require.NoError(t, l.Admin.Do(ctx, "{apiVersion: v1, kind: Namespace, metadata: {name: open}}", "create", "-f", "-"))
	claim, err := l.client.CoreV1().PersistentVolumeClaims("lab").Get(ctx, "hpc-shared-pvc", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = l.client.CoreV1().PersistentVolumeClaims("open").Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim.Name}, Spec: claim.Spec}, made)
	require.NoError(t, err)
	require.NoError(t, l.Admin.Do(ctx, "", "-n", "lab", "create", "rolebinding", "hub", "--clusterrole=jupyter-user-use-every-home",
		"--serviceaccount=lab:hub"))
	policies := l.client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	access, err := policies.Get(ctx, "access.jupyter-user.io", metav1.GetOptions{})
	require.NoError(t, err)
	access.Spec.Validations[2].Expression += " || request.userInfo.username == 'mallory'"
	_, err = policies.Update(ctx, access, metav1.UpdateOptions{})
	require.NoError(t, err)
	found, err := check.Run(ctx, l.look, check.Options{User: "jupyter-user-check", Version: "v0.2.0"})
	require.NoError(t, err)
	var out strings.Builder
	for i := range found {
		found[i].Message = regexp.MustCompile(`until \d{4}-\d\d-\d\d`).ReplaceAllString(found[i].Message, "until 2027-02-21")
		found[i].Message = regexp.MustCompile(`server is v1\.\d+\.\d+`).ReplaceAllString(found[i].Message, "server is v1.37.2")
	}
	require.NoError(t, check.Writers["table"](&out, found))
	text, golden := "$ jupyter-user-webhook check\n"+out.String(), filepath.Join("testdata", "check.txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o600))
	}
	wanted, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(wanted), text, "UPDATE_GOLDEN=1 writes it")
}

func beginInstallation(t *testing.T) *installation {
	t.Helper()
	return newInstallation(t, start)
}

// newInstallation starts a cluster with the function "start", and builds the program. The caller installs the chart.
func newInstallation(t *testing.T, start func(t *testing.T, flags map[string][]string) *controlplane.ControlPlane) *installation {
	t.Helper()
	l := &installation{stop: func() {}}
	l.served.Store("")
	egress, err := controlplane.StartEgress(func() string { return l.served.Load().(string) })
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, egress.Stop()) })
	l.lifecycle = newLifecycle(t, start(t, map[string][]string{"egress-selector-config-file": {egress.File}}))
	l.pair, err = pki.New(90*24*time.Hour, "jupyter-user-webhook.jupyter-user-system.svc")
	require.NoError(t, err)
	l.look, err = check.Connect(l.Admin.Kubeconfig, "")
	require.NoError(t, err)
	l.program = filepath.Join(t.TempDir(), "jupyter-user-webhook")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", l.program, "../../cmd/jupyter-user-webhook").CombinedOutput()
	require.NoError(t, err, string(output))
	return l
}

// createObjects creates and updates the objects that an admin, controllers and kubelets would create and update. In each
// namespace it creates a NetworkPolicy that allows no egress.
func (l *installation) createObjects(t *testing.T) {
	t.Helper()
	ctx, core, made := t.Context(), l.client.CoreV1(), metav1.CreateOptions{}
	deployment := l.deployment(t)
	deployment.Status = appsv1.DeploymentStatus{Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
	_, err := l.client.AppsV1().Deployments(helm.Namespace).UpdateStatus(ctx, deployment, metav1.UpdateOptions{})
	require.NoError(t, err)
	_, err = core.Secrets(helm.Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "jupyter-user-webhook-certs"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": l.pair.Cert, "tls.key": l.pair.Key}}, made)
	require.NoError(t, err)
	_, err = l.client.DiscoveryV1().EndpointSlices(helm.Namespace).Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "jupyter-user-webhook-x", Labels: map[string]string{
			"kubernetes.io/service-name": "jupyter-user-webhook"}}, AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}, {Addresses: []string{"10.1.0.2"}}}}, made)
	require.NoError(t, err)
	claim, err := core.PersistentVolumeClaims("lab").Get(ctx, "hpc-shared-pvc", metav1.GetOptions{})
	require.NoError(t, err)
	claim.Status.Phase = corev1.ClaimBound
	_, err = core.PersistentVolumeClaims("lab").UpdateStatus(ctx, claim, metav1.UpdateOptions{})
	require.NoError(t, err)
	node, err := core.Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, made)
	require.NoError(t, err)
	node.Status.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: new(true)}
	node.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: "v1.36.3", ContainerRuntimeVersion: "containerd://2.4.0"}
	_, err = core.Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
	require.NoError(t, err)
	namespaces, err := core.Namespaces().List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	for _, namespace := range namespaces.Items {
		_, err = l.client.NetworkingV1().NetworkPolicies(namespace.Name).Create(ctx, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "closed"},
			Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Egress"}}}, made)
		require.NoError(t, err)
	}
}

// serve ends the webhook and starts it again with the current configuration in the ConfigMap, as a rollout would.
func (l *installation) serve(t *testing.T) {
	t.Helper()
	l.stop()
	installed, err := l.client.CoreV1().ConfigMaps(helm.Namespace).Get(t.Context(), helm.Release, metav1.GetOptions{})
	require.NoError(t, err)
	configured, err := config.Parse([]byte(installed.Data["config.yaml"]))
	require.NoError(t, err)
	log := slog.New(slog.NewJSONHandler(&journal.Journal{}, nil))
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	dir := t.TempDir()
	l.pair.Write(t, dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := server.New(listener, server.NewHandler(webhook.New(configured, nil), log, metrics, nil),
		server.Options{GetCertificate: certs.FromDirectory(dir, log).GetCertificate, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	l.served.Store(listener.Addr().String())
	l.stop = func() {
		cancel()
		assert.NoError(t, <-done)
		l.stop = func() {}
	}
	t.Cleanup(func() { l.stop() })
}

// installation.upgrade runs the helm upgrade command that the check command prints, with the given value after --set.
func (l *installation) upgrade(t *testing.T, value string) {
	t.Helper()
	l.run(t, "", "upgrade", helm.Release, l.chart, "--namespace", helm.Namespace, "--reset-then-reuse-values", "--set", value)
}

// awaitFindings waits until the findings of the check command are as expected. The argument "wanted" has the status of each
// finding that is not OK, by the beginning of its text. For each text in the argument "well", one finding that is OK must
// begin with the text.
func (l *installation) awaitFindings(t *testing.T, wanted map[string]check.Status, well ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		found, err := check.Run(t.Context(), l.look, check.Options{User: "jupyter-user-check", Version: "v0.2.0"})
		require.NoError(c, err)
		statuses := map[string]check.Status{}
		for _, f := range found {
			text := f.Check + ": " + f.Message
			if f.Where != "" {
				text = f.Check + ": " + f.Where + ": " + f.Message
			}
			statuses[text] = f.Status
		}
		matching := func(begins string, status check.Status) (n int) {
			for text, is := range statuses {
				if is == status && strings.HasPrefix(text, begins) {
					n++
				}
			}
			return n
		}
		for begins, status := range wanted {
			assert.Equal(c, 1, matching(begins, status), "%s: %s\n%v", status, begins, statuses)
		}
		for _, begins := range well {
			assert.Equal(c, 1, matching(begins, check.OK), "%s\n%v", begins, statuses)
		}
		assert.Equal(c, len(wanted), len(statuses)-matching("", check.OK), "%v", statuses)
	}, machine.Patience, 200*time.Millisecond)
}

// helmTest runs helm test. Meanwhile it runs the program of the Pod that helm test creates, as a kubelet would. The
// program must print the message.
func (l *installation) helmTest(t *testing.T, message string) {
	t.Helper()
	ran := make(chan string, 1)
	go func() {
		output, err := l.runTestPod(t)
		if err != nil {
			output += err.Error()
		}
		ran <- output
	}()
	stdout := l.run(t, "", "test", helm.Release, "--namespace", helm.Namespace, "--timeout", "1m")
	assert.Contains(t, stdout, "Phase:          Succeeded")
	assert.Contains(t, strings.Join(strings.Fields(<-ran), " "), message)
}

// runTestPod runs the program with the arguments of the Pod of helm test, and with the rights of that Pod's
// ServiceAccount. Then it sets the phase of the Pod by the program's exit status.
func (l *installation) runTestPod(t *testing.T) (output string, err error) {
	const name = "jupyter-user-webhook-test"
	pods := l.client.CoreV1().Pods(helm.Namespace)
	account, err := l.User("system:serviceaccount:jupyter-user-system:"+name, "system:serviceaccounts",
		"system:serviceaccounts:jupyter-user-system", "system:authenticated")
	if err != nil {
		return "", err
	}
	var pod *corev1.Pod
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, machine.Patience, true, func(ctx context.Context) (bool, error) {
		pod, err = pods.Get(ctx, name, metav1.GetOptions{})
		return err == nil && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodPending, nil
	})
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(t.Context(), l.program, pod.Spec.Containers[0].Args...)
	command.Env = append(slices.DeleteFunc(command.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "KUBECONFIG=")
	}), "KUBECONFIG="+account.Kubeconfig)
	out, failed := command.CombinedOutput()
	pod.Status.Phase = corev1.PodSucceeded
	if failed != nil {
		pod.Status.Phase = corev1.PodFailed
	}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	return string(out), err
}
