package integration

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func setReplicas(t *testing.T, l *checkedCluster, available int32) {
	t.Helper()
	set := func(to int32) {
		deployment := &appsv1.Deployment{}
		require.NoError(t, l.Get(cleanupContext, client.ObjectKey{Namespace: "jupyter-user-system", Name: "jupyter-user-webhook"}, deployment))
		deployment.Status = appsv1.DeploymentStatus{Replicas: 2, ReadyReplicas: to, AvailableReplicas: to}
		require.NoError(t, l.Status().Update(cleanupContext, deployment))
	}
	set(available)
	t.Cleanup(func() { set(2) })
}

func policyWith(name string, change func(*admissionv1.ValidatingAdmissionPolicy)) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", name, &admissionv1.ValidatingAdmissionPolicy{}, change)
	}
}

func mutatingWith(change func(*admissionv1.MutatingWebhookConfiguration)) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", "00-jupyter-user-webhook", &admissionv1.MutatingWebhookConfiguration{}, change)
	}
}

func verifierWith(change func(*admissionv1.ValidatingWebhook)) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", "jupyter-user-webhook", &admissionv1.ValidatingWebhookConfiguration{},
			func(c *admissionv1.ValidatingWebhookConfiguration) { change(&c.Webhooks[0]) })
	}
}

// deleteUntilEnd returns a change that deletes an object, and creates it again when the test ends.
func deleteUntilEnd(object client.Object) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		deleted := object.DeepCopyObject().(client.Object)
		require.NoError(t, l.Get(t.Context(), client.ObjectKeyFromObject(deleted), deleted))
		require.NoError(t, l.Delete(t.Context(), deleted))
		t.Cleanup(func() {
			deleted.SetResourceVersion("")
			deleted.SetUID("")
			require.NoError(t, l.Create(cleanupContext, deleted))
		})
	}
}

func bindingWith(change func(*admissionv1.ValidatingAdmissionPolicyBinding)) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", "share.jupyter-user.io", &admissionv1.ValidatingAdmissionPolicyBinding{}, change)
	}
}

func hubBindingWith(change func(*admissionv1.ValidatingAdmissionPolicyBinding)) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "", "hub-access.jupyter-user.io", &admissionv1.ValidatingAdmissionPolicyBinding{}, change)
	}
}

// changeRecord returns a change of one of the values in the ConfigMap's policies.json, which records the values from which
// the policies were rendered.
func changeRecord(key string, value any) func(*testing.T, *checkedCluster) {
	return func(t *testing.T, l *checkedCluster) {
		changeUntilEnd(t, l, "jupyter-user-system", "jupyter-user-webhook", &corev1.ConfigMap{}, func(m *corev1.ConfigMap) {
			values := map[string]any{}
			require.NoError(t, json.Unmarshal([]byte(m.Data["policies.json"]), &values))
			values[key] = value
			text, err := json.Marshal(values)
			require.NoError(t, err)
			m.Data["policies.json"] = string(text)
		})
	}
}

// createOpenNamespace creates the namespace "open". It has the share's claim, which is not bound, but no Pod Security
// level and no NetworkPolicy.
func createOpenNamespace(t *testing.T, l *checkedCluster) {
	t.Helper()
	createUntilEnd(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "open"}}, shareClaim("open"))(t, l)
}

func createOldNode(t *testing.T, l *checkedCluster) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}}
	require.NoError(t, l.Create(t.Context(), node))
	t.Cleanup(func() { require.NoError(t, l.Delete(cleanupContext, node)) })
	node.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: "v1.30.0", ContainerRuntimeVersion: "containerd://1.7.0"}
	require.NoError(t, l.Status().Update(t.Context(), node))
}

func volumeWith(name string, change func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	volume := shareVolume(name, "/export", "lab")
	change(volume)
	return volume
}
