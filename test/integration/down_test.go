package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// TestOtherPodsWhileWebhookDown stops the webhook. Pods that are no notebooks can still be created, bound to a node,
// updated and deleted in each namespace that has a ServiceAccount, also in kube-system and in the webhook's own namespace.
// A notebook is denied within 3 s.
func TestOtherPodsWhileWebhookDown(t *testing.T) {
	t.Parallel()
	c := start(t)
	admin, err := kubernetes.NewForConfig(c.Admin.Config)
	require.NoError(t, err)
	for name, level := range map[string]string{"lab": "baseline", "strict": "restricted", "open": ""} {
		c.namespace(t, name, level)
	}
	for _, name := range []string{"kube-system", "jupyter-user-system"} {
		_, err := admin.CoreV1().ServiceAccounts(name).Create(t.Context(),
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	c.run(t, "lab", "before", "--labels=jupyter-user=alice")
	c.stop()

	namespaces, err := admin.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(namespaces.Items), 6)
	for _, namespace := range namespaces.Items {
		if namespace.Name == "kube-public" || namespace.Name == "kube-node-lease" {
			continue // No controller runs here, so these namespaces have no ServiceAccount.
		}
		createAndDelete(t, admin, namespace.Name)
	}
	watch := machine.WatchDuring(t)
	for _, label := range []string{"jupyter-user=alice", "hub.jupyter.org/username=alice,component=singleuser-server"} {
		began := time.Now()
		denied := c.kubectl(t, "run", "nb", "-n", "lab", "--image=quay.io/jupyter/minimal-notebook", "--labels="+label, "--annotations=hub.jupyter.org/username=alice")
		assert.NotZero(t, denied.ExitCode)
		assert.Contains(t, denied.Stderr, `failed calling webhook`)
		watch.Within(t, time.Since(began), 3*time.Second, "a denial; KubeSpawner waits for 3 s")
	}
	for name, labels := range map[string]string{"worker": "hub.jupyter.org/username=alice,component=dask-worker", "out": "jupyter-user=alice"} {
		made := c.kubectl(t, "run", name, "-n", "lab", "--image=quay.io/jupyter/minimal-notebook", "--labels="+labels,
			"--annotations=hub.jupyter.org/username=alice", "--annotations=jupyter-user.io/inject=false")
		assert.Zero(t, made.ExitCode, made.Stderr)
	}
	// A notebook that was created before the webhook stopped can still be bound, updated and deleted, because the API
	// server calls the webhook only for creations.
	sendUpdates(t, admin, "lab", "before")
}

// createAndDelete creates a Pod that is no notebook, and calls sendUpdates for the Pod.
func createAndDelete(t *testing.T, admin kubernetes.Interface, namespace string) {
	t.Helper()
	_, err := admin.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "anything", Labels: map[string]string{"app": "anything"}},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(1000)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{Name: "a", Image: "x", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err, namespace)
	sendUpdates(t, admin, namespace, "anything")
}

// sendUpdates binds a Pod, updates its status and labels, and deletes it, like the scheduler, the kubelet and the Pod's
// owner.
func sendUpdates(t *testing.T, admin kubernetes.Interface, namespace, name string) {
	t.Helper()
	pods := admin.CoreV1().Pods(namespace)
	require.NoError(t, pods.Bind(t.Context(), &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name},
		Target: corev1.ObjectReference{Kind: "Node", Name: "node"}}, metav1.CreateOptions{}), namespace)
	pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	pod.Status.Phase = corev1.PodRunning
	pod, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err, namespace)
	pod.Labels["seen"] = "yes"
	_, err = pods.Update(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err, namespace)
	require.NoError(t, pods.Delete(t.Context(), name, metav1.DeleteOptions{}), namespace)
}
