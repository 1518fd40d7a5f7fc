package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// others is a template of workloads, one of each kind. None of their Pods is a notebook. The placeholders are for the name and
// the namespace.
const others = `
{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: %[1]s, labels: {e2e: other}}, spec: %[2]s}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: other, namespace: %[1]s}, spec: {
  selector: {matchLabels: {e2e: other, by: deployment}}, template: {metadata: {labels: {e2e: other, by: deployment}}, spec: %[2]s}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: other, namespace: %[1]s}, spec: {
  selector: {matchLabels: {e2e: other, by: daemonset}}, template: {metadata: {labels: {e2e: other, by: daemonset}}, spec: %[2]s}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: other, namespace: %[1]s}, spec: {
  selector: {matchLabels: {e2e: other, by: statefulset}}, template: {metadata: {labels: {e2e: other, by: statefulset}}, spec: %[2]s}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: other, namespace: %[1]s}, spec: {
  template: {metadata: {labels: {e2e: other, by: job}}, spec: %[3]s}}}
`

// otherPods is the number of Pods of others in one namespace.
const otherPods = 5

// waitingDeployment is a Deployment with a notebook. The test creates it while the webhook is down.
const waitingDeployment = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: waiting}, spec: {selector: {matchLabels: {app: waiting}},
  template: {metadata: {labels: {app: waiting, jupyter-user: alice}, annotations: {jupyter-user.io/probes: "on"}}, spec: {
    serviceAccountName: waiting, containers: [{name: nb, image: ` + images.Plain + `, command: [hello]}]}}}}
`

// deniedWithin is how long the denial of a notebook may take while the webhook is down: the API server waits 2 s for a webhook.
const deniedWithin = 5 * time.Second

// TestADeadWebhookStopsNothingElse tests that without a replica of either installation, Pods that are no notebooks are created,
// scheduled and run, and notebooks are denied in time. When replicas are possible again, notebooks start without help.
func TestADeadWebhookStopsNothingElse(t *testing.T) {
	t.Cleanup(func() { startWebhooks(t) })
	for _, i := range []installation{shipped, knowing} {
		require.NoError(t, world.Admin.Do(t.Context(), "", "scale", "deployment", systemName, "-n", i.space, "--replicas=0"))
		require.NoError(t, world.Admin.Do(t.Context(), "", "delete", "pods", "-n", i.space, "-l", "app.kubernetes.io/name="+systemName,
			"--grace-period=1"))
	}
	began := time.Now()
	runOtherPods(t)
	t.Logf("everything else ran after %s", time.Since(began).Round(time.Millisecond))
	for _, label := range []string{"jupyter-user=alice", "hub.jupyter.org/username=alice,component=singleuser-server"} {
		for _, discovery := range discoveries {
			watch := machine.WatchDuring(t)
			began := time.Now()
			result := kubectl(t, "run", "nb", "-n", discovery.namespace, "--image="+images.Plain, "--labels="+label,
				"--annotations=hub.jupyter.org/username=alice")
			watch.Within(t, time.Since(began), deniedWithin, "a denial")
			assertDenied(t, result, "failed calling webhook")
			assert.Contains(t, result.Stderr, `no endpoints available for service "jupyter-user-webhook"`)
		}
	}
	require.NoError(t, world.mayRunAs(t.Context(), atStart.namespace, "waiting", "alice"))
	result := tryCreate(t, atStart, waitingDeployment)
	require.Zero(t, result.ExitCode, result.Stderr)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		assert.NoError(t, world.Admin.Do(ctx, "", "delete", "deployment", "waiting", "-n", atStart.namespace, "--wait=false"))
	})

	startWebhooks(t)
	killAll(t)
	require.NoError(t, world.Admin.Do(t.Context(), "", "rollout", "status", "deployment/waiting", "-n", atStart.namespace,
		"--timeout="+readyLimit.String()), "a denied notebook is created when the webhook serves again")
}

// runOtherPods runs Pods of all kinds, in the cluster's own namespace and in others.
func runOtherPods(t *testing.T) {
	t.Helper()
	spec := fmt.Sprintf(`{containers: [{name: c, image: %q, command: [sleep, "1000"]}], terminationGracePeriodSeconds: 0}`, images.Plain)
	job := fmt.Sprintf(`{containers: [{name: c, image: %q, command: ["true"]}], restartPolicy: Never}`, images.Plain)
	namespaces := []string{"kube-system", atStart.namespace}
	for _, namespace := range namespaces {
		text := fmt.Sprintf(others, namespace, spec, job)
		require.NoError(t, world.apply(t.Context(), text))
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
			defer cancel()
			assert.NoError(t, world.Admin.Do(ctx, text, "delete", "-f", "-", "--wait=false"))
		})
	}
	for _, namespace := range namespaces {
		var story strings.Builder
		err := await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
			story.Reset()
			pods, err := world.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "e2e=other"})
			if err != nil {
				return false, err
			}
			run := 0
			for _, pod := range pods.Items {
				fmt.Fprintln(&story, pod.Name, pod.Status.Phase)
				if node.IsReady(&pod) || pod.Status.Phase == corev1.PodSucceeded {
					run++
				}
			}
			return run == otherPods, nil
		})
		require.NoError(t, err, "%s: %s", namespace, story.String())
	}
}

// startWebhooks starts both installations again.
func startWebhooks(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), rolloutLimit)
	defer cancel()
	for _, i := range []installation{shipped, knowing} {
		require.NoError(t, world.Admin.Do(ctx, "", "scale", "deployment", systemName, "-n", i.space, "--replicas=2"))
	}
	for _, i := range []installation{shipped, knowing} {
		require.NoError(t, world.awaitReplicas(ctx, i))
	}
}

// killAll kills the processes of both replicas at once. The kubelet starts them again.
func killAll(t *testing.T) {
	t.Helper()
	serving, _ := replicas(t)
	require.Len(t, serving, 2)
	killed := time.Now()
	for _, pod := range serving {
		for _, process := range node.Processes(pod.UID) {
			if process.Exe == "/jupyter-user-webhook" {
				require.NoError(t, syscall.Kill(process.PID, syscall.SIGKILL))
			}
		}
	}
	awaitReplica(t, "both serve again", func(now, ending []corev1.Pod) bool {
		for _, pod := range now {
			if pod.Status.ContainerStatuses[0].RestartCount == 0 {
				return false
			}
		}
		return bothReady(now, ending)
	})
	t.Logf("both were ready %s after they were killed", time.Since(killed).Round(time.Millisecond))
}
