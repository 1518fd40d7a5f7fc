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

// otherWorkloads is a template of five workloads, each of another kind, whose Pods are no notebooks. Its placeholders are the
// namespace, the spec of the Pods, and the spec of the Job's Pod.
const otherWorkloads = `
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

// otherPodCount is the number of Pods that otherWorkloads creates in one namespace.
const otherPodCount = 5

// waitingDeployment is a Deployment whose Pod is a notebook. TestPodsWithoutWebhook creates the Deployment while no replica
// of the webhook runs.
const waitingDeployment = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: waiting}, spec: {selector: {matchLabels: {app: waiting}},
  template: {metadata: {labels: {app: waiting, jupyter-user: alice}, annotations: {jupyter-user.io/probes: "on"}}, spec: {
    serviceAccountName: waiting, containers: [{name: nb, image: ` + images.Plain + `, command: [hello]}]}}}}
`

// denialLimit is the time limit for the denial of a notebook while the webhook is down. By timeoutSeconds of the shipped webhook
// configurations, the API server waits at most 2 s for the webhook.
const denialLimit = 5 * time.Second

// TestPodsWithoutWebhook scales the shipped and the second installation to zero replicas. Then Pods that are no notebooks
// must be created, scheduled and run, and notebooks must be denied within denialLimit. When the replicas run again, the
// notebook of a Deployment must start without help. The test also kills both replicas of the shipped installation at the
// same time, and they must become ready again.
func TestPodsWithoutWebhook(t *testing.T) {
	t.Cleanup(func() { startWebhooks(t) })
	for _, i := range []installation{shippedInstallation, secondInstallation} {
		require.NoError(t, cluster.Admin.Do(t.Context(), "", "scale", "deployment", systemName, "-n", i.namespace, "--replicas=0"))
		require.NoError(t, cluster.Admin.Do(t.Context(), "", "delete", "pods", "-n", i.namespace,
			"-l", "app.kubernetes.io/name="+systemName, "--grace-period=1"))
	}
	began := time.Now()
	runOtherPods(t)
	t.Logf("the other Pods ran after %s", time.Since(began).Round(time.Millisecond))
	for _, label := range []string{"jupyter-user=alice", "hub.jupyter.org/username=alice,component=singleuser-server"} {
		for _, discovery := range discoveries {
			watch := machine.WatchDuring(t)
			began := time.Now()
			result := kubectl(t, "run", "nb", "-n", discovery.namespace, "--image="+images.Plain, "--labels="+label,
				"--annotations=hub.jupyter.org/username=alice")
			watch.Within(t, time.Since(began), denialLimit, "a denial")
			assertDenied(t, result, "failed calling webhook")
			assert.Contains(t, result.Stderr, `no endpoints available for service "jupyter-user-webhook"`)
		}
	}
	require.NoError(t, cluster.allowRunAs(t.Context(), atStart.namespace, "waiting", "alice"))
	result := tryCreate(t, atStart, waitingDeployment)
	require.Zero(t, result.ExitCode, result.Stderr)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		assert.NoError(t, cluster.Admin.Do(ctx, "", "delete", "deployment", "waiting", "-n", atStart.namespace, "--wait=false"))
	})

	startWebhooks(t)
	killReplicas(t)
	require.NoError(t, cluster.Admin.Do(t.Context(), "", "rollout", "status", "deployment/waiting", "-n", atStart.namespace,
		"--timeout="+readyLimit.String()), "the denied notebook must be created when the webhook serves again")
}

// runOtherPods runs otherWorkloads in kube-system and in a namespace with notebooks, and waits until their Pods are ready or
// have succeeded.
func runOtherPods(t *testing.T) {
	t.Helper()
	spec := fmt.Sprintf(`{containers: [{name: c, image: %q, command: [sleep, "1000"]}], terminationGracePeriodSeconds: 0}`, images.Plain)
	job := fmt.Sprintf(`{containers: [{name: c, image: %q, command: ["true"]}], restartPolicy: Never}`, images.Plain)
	namespaces := []string{"kube-system", atStart.namespace}
	for _, namespace := range namespaces {
		text := fmt.Sprintf(otherWorkloads, namespace, spec, job)
		require.NoError(t, cluster.apply(t.Context(), text))
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
			defer cancel()
			assert.NoError(t, cluster.Admin.Do(ctx, text, "delete", "-f", "-", "--wait=false"))
		})
	}
	for _, namespace := range namespaces {
		var phases strings.Builder
		err := await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
			phases.Reset()
			pods, err := cluster.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "e2e=other"})
			if err != nil {
				return false, err
			}
			run := 0
			for _, pod := range pods.Items {
				fmt.Fprintln(&phases, pod.Name, pod.Status.Phase)
				if node.IsReady(&pod) || pod.Status.Phase == corev1.PodSucceeded {
					run++
				}
			}
			return run == otherPodCount, nil
		})
		require.NoError(t, err, "%s: %s", namespace, phases.String())
	}
}

// startWebhooks scales the shipped and the second installation to two replicas, and waits for them.
func startWebhooks(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), rolloutLimit)
	defer cancel()
	for _, i := range []installation{shippedInstallation, secondInstallation} {
		require.NoError(t, cluster.Admin.Do(ctx, "", "scale", "deployment", systemName, "-n", i.namespace, "--replicas=2"))
	}
	for _, i := range []installation{shippedInstallation, secondInstallation} {
		require.NoError(t, cluster.awaitReplicas(ctx, i))
	}
}

// killReplicas kills the processes of both replicas of the shipped installation at the same time. It waits until the
// kubelet has restarted the containers and both replicas are ready.
func killReplicas(t *testing.T) {
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
	awaitReplicaState(t, "both replicas are ready again", func(now, ending []corev1.Pod) bool {
		for _, pod := range now {
			if pod.Status.ContainerStatuses[0].RestartCount == 0 {
				return false
			}
		}
		return bothReady(now, ending)
	})
	t.Logf("both were ready %s after they were killed", time.Since(killed).Round(time.Millisecond))
}
