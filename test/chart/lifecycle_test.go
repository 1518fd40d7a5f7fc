package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pages"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const (
	previous = "jupyter-user-webhook:v0.0.9"
	current  = "jupyter-user-webhook:v0.2.0"
)

// A lifecycle is a cluster on which the test installs, upgrades and uninstalls the chart.
type lifecycle struct {
	*controlplane.ControlPlane
	helm   *helm.Helm
	client kubernetes.Interface
	// previousChart is the path of a package of the same chart with an earlier version number. chart is the path of the
	// chart's folder.
	previousChart, chart string
}

const lifecycleValues = `{share: {nfs: {server: nfs.example.com}}, namespaces: [lab], identity: {share: true}, certificates: {source: selfSigned},
	spawners: [{namespace: jhub, serviceAccount: hub}], access: {rights: [{namespace: lab, user: alice, homes: [alice]}]}}`

func newLifecycleWithPrevious(t *testing.T) *lifecycle {
	t.Helper()
	l := newLifecycle(t, start(t, nil))
	folder := t.TempDir()
	l.run(t, "", "package", l.chart, "--version", "0.0.9", "--app-version", "v0.0.9", "--destination", folder)
	l.previousChart = filepath.Join(folder, "jupyter-user-webhook-0.0.9.tgz")
	return l
}

func newLifecycle(t *testing.T, plane *controlplane.ControlPlane) *lifecycle {
	t.Helper()
	l := &lifecycle{ControlPlane: plane, helm: newHelm(t)}
	l.helm.Kubeconfig = l.Admin.Kubeconfig
	var err error
	l.client, err = kubernetes.NewForConfig(l.Admin.Config)
	require.NoError(t, err)
	l.chart, err = helm.Chart()
	require.NoError(t, err)
	return l
}

func (l *lifecycle) run(t *testing.T, values string, arguments ...string) string {
	t.Helper()
	output, err := l.helm.Run(t.Context(), values, arguments...)
	require.NoError(t, err)
	return output
}

// TestInstallUpgradeRollbackUninstall installs the earlier version, upgrades, rolls back, upgrades again, downgrades,
// and uninstalls.
func TestInstallUpgradeRollbackUninstall(t *testing.T) {
	t.Parallel()
	l := newLifecycleWithPrevious(t)
	empty := l.allObjects(t)
	in := []string{"--namespace", helm.Namespace, "--values", "-"}

	notes := l.run(t, lifecycleValues, append([]string{"install", helm.Release, l.previousChart}, in...)...)
	assert.Contains(t, notes, "helm test jupyter-user-webhook --namespace jupyter-user-system")
	assert.Contains(t, notes, "pod-security.kubernetes.io/enforce=baseline")
	l.assertRuns(t, previous, previous)
	l.assertOwnPodsAdmitted(t)

	l.run(t, lifecycleValues, append([]string{"upgrade", helm.Release, l.chart}, in...)...)
	// During an upgrade, replicas of the earlier version still inject their image. So the policies must accept both images.
	l.assertRuns(t, current, current+" "+previous)
	generation := l.deployment(t).Generation
	l.run(t, lifecycleValues, append([]string{"upgrade", helm.Release, l.chart}, in...)...)
	assert.Equal(t, generation, l.deployment(t).Generation, "an upgrade without changes does not replace the Deployment's Pods")
	l.assertRuns(t, current, current+" "+previous)
	l.run(t, lifecycleValues, append([]string{"upgrade", helm.Release, l.chart, "--set=image.acceptPrevious=false"}, in...)...)
	l.assertRuns(t, current, current)
	l.testUnfinishedRollout(t)

	l.run(t, "", "rollback", helm.Release, "1", "--namespace", helm.Namespace)
	l.assertRuns(t, previous, previous)
	l.run(t, lifecycleValues, append([]string{"upgrade", helm.Release, l.chart}, in...)...)
	// helm upgrade with the earlier chart is a downgrade.
	l.run(t, lifecycleValues, append([]string{"upgrade", helm.Release, l.previousChart}, in...)...)
	l.assertRuns(t, previous, previous+" "+current)

	l.run(t, "", "uninstall", helm.Release, "--namespace", helm.Namespace)
	leftovers := slices.DeleteFunc(l.allObjects(t), func(object string) bool { return slices.Contains(empty, object) })
	assert.Empty(t, leftovers)
	l.testKubectl(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "anything", Labels: map[string]string{"jupyter-user": "alice"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := l.client.CoreV1().Pods("lab").Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		assert.NoError(c, err)
	}, machine.Patience, 100*time.Millisecond)
}

// assertOwnPodsAdmitted creates the Pods of the chart's own Deployments in a dry run, as a controller does, while the
// policies are in effect and no replica serves. The Pods must be admitted.
func (l *lifecycle) assertOwnPodsAdmitted(t *testing.T) {
	t.Helper()
	require.NoError(t, l.AwaitPolicies(t.Context()))
	controller, err := l.User("system:serviceaccount:kube-system:replicaset-controller", "system:masters")
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(controller.Config)
	require.NoError(t, err)
	deployments, err := l.client.AppsV1().Deployments(helm.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, deployments.Items, 2)
	for _, deployment := range deployments.Items {
		pod := &corev1.Pod{ObjectMeta: deployment.Spec.Template.ObjectMeta, Spec: deployment.Spec.Template.Spec}
		pod.Name = deployment.Name
		_, err := client.CoreV1().Pods(helm.Namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		require.NoError(t, err)
	}
}

// testKubectl installs deploy/install.yaml with kubectl and removes it again.
func (l *lifecycle) testKubectl(t *testing.T) {
	t.Helper()
	before := l.allObjects(t)
	install := string(deploy.Install())
	require.NoError(t, l.Admin.Do(t.Context(), install, "apply", "--server-side", "-f", "-"))
	assert.Equal(t, current, l.deployment(t).Spec.Template.Spec.Containers[0].Image)
	l.assertOwnPodsAdmitted(t)
	require.NoError(t, l.Admin.Do(t.Context(), install, "delete", "--ignore-not-found", "--wait=false", "-f", "-"))
	leftovers := slices.DeleteFunc(l.allObjects(t), func(object string) bool { return slices.Contains(before, object) })
	assert.Empty(t, leftovers)
}

func (l *lifecycle) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	found, err := l.client.AppsV1().Deployments(helm.Namespace).Get(t.Context(), helm.Release, metav1.GetOptions{})
	require.NoError(t, err)
	return found
}

// assertRuns asserts that the Deployment has the image, and that the share's PersistentVolumes exist. The configuration
// and the policy net.jupyter-user.io must accept exactly the images that the argument "accepted" lists, with spaces between
// them.
func (l *lifecycle) assertRuns(t *testing.T, image, accepted string) {
	t.Helper()
	assert.Equal(t, image, l.deployment(t).Spec.Template.Spec.Containers[0].Image)
	installed, err := l.client.CoreV1().ConfigMaps(helm.Namespace).Get(t.Context(), helm.Release, metav1.GetOptions{})
	require.NoError(t, err)
	c, err := config.Parse([]byte(installed.Data["config.yaml"]))
	require.NoError(t, err)
	assert.Equal(t, strings.Fields(accepted), append([]string{c.Init.Image}, c.Init.AcceptedImages...))
	net, err := l.client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), "net.jupyter-user.io", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, net.Spec.Validations[3].Expression, `in ["`+strings.Join(strings.Fields(accepted), `", "`)+`"]`)
	for _, name := range []string{"hpc-pv-lab", "hpc-pv-jupyter-user-system"} {
		volume, err := l.client.CoreV1().PersistentVolumes().Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, "nfs.example.com", volume.Spec.NFS.Server)
		assert.Equal(t, "hpc-shared-pvc", volume.Spec.ClaimRef.Name)
	}
}

func (l *lifecycle) allObjects(t *testing.T) []string {
	t.Helper()
	found, err := l.Objects(t.Context(), "")
	require.NoError(t, err)
	return found
}

// TestUpgradeFromTheReleaseBefore tests an upgrade with values of 0.1.0, one of which has another key now. helm upgrade
// must deny the old key and change nothing. The command in the runbook must replace the key. The chart of 0.1.0 accepted
// the old key. In its place the test first installs a copy of today's chart, from which the checks of values are removed.
func TestUpgradeFromTheReleaseBefore(t *testing.T) {
	t.Parallel()
	l, folder := newLifecycleWithPrevious(t), t.TempDir()
	output, err := exec.CommandContext(t.Context(), "tar", "-xzf", l.previousChart, "-C", folder).CombinedOutput()
	require.NoError(t, err, "%s", output)
	before := filepath.Join(folder, "jupyter-user-webhook")
	for _, checks := range []string{"values.schema.json", "templates/00-values.yaml"} {
		require.NoError(t, os.Remove(filepath.Join(before, checks)))
	}
	l.run(t, "{config: {user: {domain: example.org, maxLength: 20}}}", "install", helm.Release, before, "--namespace", helm.Namespace,
		"--values", "-")
	configured := func() *corev1.ConfigMap {
		found, err := l.client.CoreV1().ConfigMaps(helm.Namespace).Get(t.Context(), helm.Release, metav1.GetOptions{})
		require.NoError(t, err)
		return found
	}
	version := configured().ResourceVersion
	_, err = l.helm.Run(t.Context(), "", "upgrade", helm.Release, l.chart, "--namespace", helm.Namespace,
		"--reset-then-reuse-values")
	require.ErrorContains(t, err, "config.user.domain is now config.user.domains")
	assert.Equal(t, version, configured().ResourceVersion)

	command := pages.CommandsIn(t, "TestUpgradeFromTheReleaseBefore")[0].Line()
	command = strings.NewReplacer("deploy/chart", l.chart, "'", "").Replace(command)
	l.run(t, "", strings.Fields(command)[1:]...)
	c, err := config.Parse([]byte(configured().Data["config.yaml"]))
	require.NoError(t, err)
	assert.Equal(t, []string{"example.org"}, c.User.Domains)
	assert.Equal(t, 20, c.User.MaxLength)
}

// TestOtherPodsAfterDeletion deletes each object of an installation, one at a time. After each deletion it creates a Pod
// that is no notebook, and changes the status of another such Pod, both in a dry run. No replica serves, so the API server
// allows this only if it calls no webhook.
func TestOtherPodsAfterDeletion(t *testing.T) {
	t.Parallel()
	l := newLifecycleWithPrevious(t)
	empty := l.allObjects(t)
	in := []string{"--namespace", helm.Namespace, "--values", "-"}
	l.run(t, lifecycleValues, append([]string{"install", helm.Release, l.chart}, in...)...)
	require.NoError(t, l.AwaitPolicies(t.Context()))
	require.NoError(t, l.Admin.Do(t.Context(), "", "create", "namespace", "anywhere"))
	require.NoError(t, l.Admin.Do(t.Context(), "", "create", "serviceaccount", "default", "-n", "anywhere"))
	ordinary := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "x"}, Annotations: map[string]string{"a": "b"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}, Volumes: []corev1.Volume{{Name: "v"}}}}
	}
	_, err := l.client.CoreV1().Pods("anywhere").Create(t.Context(), ordinary("there"), metav1.CreateOptions{})
	require.NoError(t, err)
	deleted := 0
	for _, object := range l.allObjects(t) {
		if slices.Contains(empty, object) || strings.Contains(object, "anywhere") {
			continue
		}
		t.Run(object, func(t *testing.T) {
			restore := l.deleteObject(t, object)
			defer restore()
			if strings.Contains(object, "polic") || strings.Contains(object, "webhookconfigurations") {
				require.NoError(t, l.AwaitPolicies(t.Context()))
			}
			pods := l.client.CoreV1().Pods("anywhere")
			_, err := pods.Create(t.Context(), ordinary("new"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			require.NoError(t, err)
			_, err = pods.Patch(t.Context(), "there", types.MergePatchType, []byte(`{"status": {"message": "x"}}`),
				metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, "status")
			require.NoError(t, err)
		})
		deleted++
	}
	assert.Greater(t, deleted, 40)
	l.run(t, "", "uninstall", helm.Release, "--namespace", helm.Namespace)
}

// deleteObject deletes an object, by its name in the result of allObjects. It returns a function that creates the object again.
func (l *lifecycle) deleteObject(t *testing.T, object string) (restore func()) {
	t.Helper()
	resource, name, _ := strings.Cut(object, " ")
	arguments := []string{resource}
	if namespace, in, is := strings.Cut(name, "/"); is {
		arguments, name = append(arguments, "-n", namespace), in
	}
	arguments = append(arguments, name)
	got, err := l.Admin.Kubectl(t.Context(), append([]string{"get", "-o", "json"}, arguments...)...)
	require.NoError(t, err)
	require.Zero(t, got.ExitCode, got.Stderr)
	var saved unstructured.Unstructured
	require.NoError(t, saved.UnmarshalJSON([]byte(got.Stdout)))
	for _, field := range []string{"resourceVersion", "uid", "creationTimestamp", "generation"} {
		unstructured.RemoveNestedField(saved.Object, "metadata", field)
	}
	text, err := saved.MarshalJSON()
	require.NoError(t, err)
	require.NoError(t, l.Admin.Do(t.Context(), "", append([]string{"delete", "--wait=false"}, arguments...)...))
	return func() {
		// A PersistentVolume or a claim has a finalizer, which a controller would remove. No controller runs here, so the
		// object still exists, and the test does not create it again.
		if saved.GetFinalizers() == nil {
			require.NoError(t, l.Admin.Do(t.Context(), string(text), "create", "-f", "-"))
		}
	}
}

// TestHelmInOtherSituations tests an installation into a cluster that lacks a namespace, the example kustomization, an
// upgrade from 0.1.0, whose MutatingWebhookConfiguration has another name, and an upgrade after another client has written
// the caBundle.
func TestHelmInOtherSituations(t *testing.T) {
	t.Parallel()
	l := newLifecycleWithPrevious(t)
	t.Run("a namespace that is missing", func(t *testing.T) { l.installWithoutNamespace(t) })
	t.Run("the example kustomization", func(t *testing.T) { l.testKustomization(t) })
	t.Run("the MutatingWebhookConfiguration of 0.1.0", func(t *testing.T) { l.upgradeFromOldName(t) })
	t.Run("the caBundle after an upgrade", func(t *testing.T) { l.keepCABundle(t) })
}

func (l *lifecycle) installWithoutNamespace(t *testing.T) {
	t.Helper()
	before := l.allObjects(t)
	for _, values := range []string{"{namespaces: [lab, nowhere]}", "{spawners: [{namespace: nowhere, serviceAccount: hub}]}",
		"{access: {rights: [{namespace: nowhere, user: alice, homes: [alice]}]}}"} {
		_, err := l.helm.Run(t.Context(), values, "install", helm.Release, l.chart, "--namespace", helm.Namespace, "--values", "-")
		require.ErrorContains(t, err, "there is no namespace nowhere, which the values name: make it with kubectl create namespace nowhere")
	}
	assert.Equal(t, before, l.allObjects(t))
}

// upgradeFromOldName tests that an upgrade removes the MutatingWebhookConfiguration jupyter-user-webhook of 0.1.0. If it
// remained, it would trust the old CA after a change of the CA, and every notebook would be denied.
func (l *lifecycle) upgradeFromOldName(t *testing.T) {
	t.Helper()
	old := l.changedChart(t, "  name: 00-jupyter-user-webhook\n", "  name: jupyter-user-webhook\n", "50-mutatingwebhookconfiguration.yaml")
	in := []string{"--namespace", helm.Namespace, "--values", "-"}
	l.run(t, "{}", append([]string{"install", helm.Release, old}, in...)...)
	l.assertConfigured(t, "jupyter-user-webhook")
	l.run(t, "{}", append([]string{"upgrade", helm.Release, l.chart}, in...)...)
	l.assertConfigured(t, "00-jupyter-user-webhook")
	l.run(t, "", "uninstall", helm.Release, "--namespace", helm.Namespace)
}

// changedChart returns the path of a copy of the chart in which these templates have another text in place of the old one.
func (l *lifecycle) changedChart(t *testing.T, old, changed string, templates ...string) string {
	t.Helper()
	folder := t.TempDir()
	copied := filepath.Join(folder, "chart")
	require.NoError(t, os.CopyFS(copied, os.DirFS(l.chart)))
	// The chart has a symbolic link to ../monitoring.
	require.NoError(t, os.CopyFS(filepath.Join(folder, "monitoring"), os.DirFS(filepath.Join(l.chart, "..", "monitoring"))))
	for _, template := range templates {
		file := filepath.Join(copied, "templates", template)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), old)
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), old, changed)), 0o600))
	}
	return copied
}

// assertConfigured asserts that the cluster has exactly one MutatingWebhookConfiguration, with this name.
func (l *lifecycle) assertConfigured(t *testing.T, name string) {
	t.Helper()
	list, err := l.client.AdmissionregistrationV1().MutatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	assert.Equal(t, name, list.Items[0].Name)
}

// keepCABundle tests that helm upgrade and helm rollback keep a caBundle that another program has written into the
// MutatingWebhookConfiguration.
func (l *lifecycle) keepCABundle(t *testing.T) {
	t.Helper()
	values := "{certificates: {source: selfSigned}}"
	in := []string{"--namespace", helm.Namespace, "--values", "-"}
	l.run(t, values, append([]string{"install", helm.Release, l.previousChart}, in...)...)
	configurations := l.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	installed, err := configurations.Get(t.Context(), "00-jupyter-user-webhook", metav1.GetOptions{})
	require.NoError(t, err)
	for i := range installed.Webhooks {
		installed.Webhooks[i].ClientConfig.CABundle = []byte(certificate)
	}
	_, err = configurations.Update(t.Context(), installed, metav1.UpdateOptions{})
	require.NoError(t, err)
	l.run(t, values, append([]string{"upgrade", helm.Release, l.chart}, in...)...)
	l.assertTrusted(t)
	l.run(t, "", "rollback", helm.Release, "1", "--namespace", helm.Namespace)
	l.assertTrusted(t)
}

func (l *lifecycle) assertTrusted(t *testing.T) {
	t.Helper()
	installed, err := l.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "00-jupyter-user-webhook", metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, installed.Webhooks, 4)
	for _, entry := range installed.Webhooks {
		assert.Equal(t, certificate, string(entry.ClientConfig.CABundle), entry.Name)
	}
}
