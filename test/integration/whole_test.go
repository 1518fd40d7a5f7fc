package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// TestWebhookAndPolicies tests requests of users with both the webhook and the policies, as shipped.
func TestWebhookAndPolicies(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "whole", "baseline")
	bob, err := c.User("bob")
	require.NoError(t, err)
	require.NoError(t, c.Allow(t.Context(), "whole", bob, withPods, mayUse("bob")))
	run := func(t *testing.T, user *controlplane.User, arguments ...string) controlplane.Result {
		result, err := user.Kubectl(t.Context(), append([]string{"run", "-n", "whole", "--image=quay.io/jupyter/minimal-notebook"}, arguments...)...)
		require.NoError(t, err)
		return result
	}
	denied := func(t *testing.T, result controlplane.Result, words ...string) {
		assert.Equal(t, 1, result.ExitCode, result.Stdout)
		for _, word := range words {
			assert.Contains(t, result.Stderr, word)
		}
	}

	t.Run("own home", func(t *testing.T) {
		assert.Zero(t, run(t, bob, "own", "--labels=jupyter-user=bob").ExitCode)
		assert.Zero(t, run(t, c.carol, "carols", "--labels=jupyter-user=alice").ExitCode)
	})
	t.Run("another user's label", func(t *testing.T) {
		denied(t, run(t, bob, "a", "--labels=jupyter-user=alice"), "NoAccess: ", "bob may not use the home of alice in namespace whole")
	})
	t.Run("another user's label in a dry run", func(t *testing.T) {
		denied(t, run(t, bob, "a", "--labels=jupyter-user=alice", "--dry-run=server"), "NoAccess: ")
	})
	t.Run("another user's label with the own annotation", func(t *testing.T) {
		denied(t, run(t, bob, "a", "--labels=jupyter-user=alice", "--annotations=jupyter-user.io/user=bob"),
			"NoAccess: ", "the home of alice")
	})
	t.Run("an annotation and no label", func(t *testing.T) {
		denied(t, run(t, bob, "a", "--annotations=jupyter-user.io/user=bob"), "(NotInjected)", "is not a user's notebook")
	})
	t.Run("another webhook labels the pod after us", func(t *testing.T) {
		denied(t, run(t, bob, "a", "--labels=second=late-label"), "NotInjected: ", "the webhook has not written its user")
	})
	t.Run("another webhook removes the label after us", func(t *testing.T) {
		denied(t, run(t, bob, "a", "--labels=second=no-label,jupyter-user=bob"), "ShareMounted: ", "is no notebook")
	})
	t.Run("server-side apply", func(t *testing.T) { serverSideApply(t, bob) })
	t.Run("the webhook is down", func(t *testing.T) { podWhileDown(t, c, bob) })
}

func serverSideApply(t *testing.T, bob *controlplane.User) {
	t.Helper()
	command := bob.Command(t.Context(), "apply", "--server-side", "-n", "whole", "-f", "-")
	command.Stdin = strings.NewReader("{apiVersion: v1, kind: Pod, metadata: {name: ssa, labels: {jupyter-user: alice}}, " +
		"spec: {containers: [{name: nb, image: quay.io/jupyter/minimal-notebook}]}}")
	output, err := command.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(output), "NoAccess: ")
}

// podWhileDown tests that while the webhook is down, a labelled Pod is denied because the API server cannot call the
// webhook. The API server does not call the mutating webhook for a Pod without the label. So an attacker could create a Pod
// with the injected fields and no label, but the policies deny such a Pod.
func podWhileDown(t *testing.T, c *cluster, bob *controlplane.User) {
	t.Helper()
	client, err := kubernetes.NewForConfig(bob.Config)
	require.NoError(t, err)
	c.stop()
	try := func(change func(*corev1.Pod)) error {
		pod := injected(t, "bob")
		change(pod)
		_, err := client.CoreV1().Pods("whole").Create(context.Background(), pod, metav1.CreateOptions{})
		return err
	}
	assert.ErrorContains(t, try(unchanged), "failed calling webhook")
	err = try(func(pod *corev1.Pod) {
		pod.Labels = nil
		pod.Spec.Containers[0].VolumeMounts[0].SubPath = "home/alice"
	})
	assert.ErrorContains(t, err, "ShareMounted: ")
}
