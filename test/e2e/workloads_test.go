package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// template is the template of a workload's Pods, with placeholders for the name, the ServiceAccount and the restart policy.
const template = `{metadata: {labels: {app: %s, jupyter-user: ` + stranger + `}, annotations: {jupyter-user.io/probes: "on"}}, spec: {serviceAccountName: %s, restartPolicy: %s,
  containers: [{name: nb, image: ` + images.Plain + `, command: [hello]}]}}`

// workloads are the kinds that create Pods for a user, with the owner of the Pods: its controller creates them.
var workloads = map[string]struct {
	yaml, restart, creator string
}{
	"deployment": {`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %[1]s}, spec: {selector: {matchLabels: {app: %[1]s}},
  template: %[2]s}}`, "Always", "ReplicaSet"},
	"statefulset": {`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: %[1]s}, spec: {selector: {matchLabels: {app: %[1]s}},
  template: %[2]s}}`, "Always", "StatefulSet"},
	"job": {`{apiVersion: batch/v1, kind: Job, metadata: {name: %[1]s}, spec: {template: %[2]s}}`, "Never", "Job"},
	"cronjob": {`{apiVersion: batch/v1, kind: CronJob, metadata: {name: %[1]s}, spec: {schedule: "* * * * *", concurrencyPolicy: Forbid,
  jobTemplate: {spec: {template: %[2]s}}}}`, "Never", "Job"},
}

// deployAs creates a workload of dan as carol, who may not use his home, and returns its name.
func deployAs(t *testing.T, in discovery, kind, account string) string {
	t.Helper()
	w, name := workloads[kind], kind+"-by-"+account
	text := fmt.Sprintf(w.yaml, name, fmt.Sprintf(template, name, account, w.restart))
	result := tryCreateAs(t, world.carol, in.namespace, text)
	require.Zero(t, result.ExitCode, result.Stderr)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		assert.NoError(t, world.Admin.Do(ctx, "", "delete", kind, name, "-n", in.namespace, "--cascade=foreground", "--wait"))
	})
	if kind == "cronjob" {
		// This makes the CronJob due, as if its last run were more than a minute ago.
		past := time.Now().Add(-90 * time.Second).UTC().Format(time.RFC3339)
		require.NoError(t, world.Admin.Do(t.Context(), "", "patch", kind, name, "-n", in.namespace, "--subresource=status",
			"--type=merge", `-p={"status": {"lastScheduleTime": "`+past+`"}}`))
	}
	return name
}

// podsOf returns the Pods of a workload.
func podsOf(ctx context.Context, in discovery, name string) ([]corev1.Pod, error) {
	list, err := world.Client.CoreV1().Pods(in.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// TestWorkloads: carol creates workloads for a user whose home she may not use. No Pod is created, and an event has the reason
// and the remedy. With a ServiceAccount that may run as that user the Pods run: then everyone in the namespace may use it.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		require.NoError(t, world.mayRunAs(t.Context(), discovery.namespace, "nightly", stranger))
		for kind := range workloads {
			t.Run("denied/"+kind+"/"+discovery.name, func(t *testing.T) {
				t.Parallel()
				name := deployAs(t, discovery, kind, "default")
				said := denialEvent(t, discovery, workloads[kind].creator, name)
				assert.Contains(t, said, "NoAccess: metadata.annotations[jupyter-user.io/user]: system:serviceaccount:kube-system:")
				assert.Contains(t, said, "-controller may not use the home of dan in namespace "+discovery.namespace+", and the ServiceAccount "+
					"default may not run as dan: ask the admin for a role with the verb use on homes.jupyter-user.io named dan (pods of a "+
					"Deployment or a Job need the verb run-as, for their ServiceAccount)")
				pods, err := podsOf(t.Context(), discovery, name)
				require.NoError(t, err)
				assert.Empty(t, pods)
			})
			t.Run("run-as/"+kind+"/"+discovery.name, func(t *testing.T) {
				t.Parallel()
				name := deployAs(t, discovery, kind, "nightly")
				var p pod
				require.NoError(t, await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
					pods, err := podsOf(ctx, discovery, name)
					if len(pods) == 0 {
						return false, err
					}
					p = pod{discovery.namespace, pods[0].Name}
					return node.IsReady(&pods[0]), err
				}))
				assertOwned(t, p, homeOf(stranger))
			})
		}
	}
}

// denialEvent returns the event about the denial on the workload's own object, as carol sees it.
func denialEvent(t *testing.T, in discovery, creator, name string) string {
	t.Helper()
	var said string
	err := await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
		result, err := world.carol.Kubectl(ctx, "get", "events", "-n", in.namespace, "--field-selector=reason=FailedCreate",
			`-o=jsonpath={range .items[*]}{.involvedObject.kind}/{.involvedObject.name}: {.message}{"\n"}{end}`)
		for line := range strings.Lines(result.Stdout) {
			if strings.HasPrefix(line, creator+"/"+name) {
				said = line
			}
		}
		return said != "", err
	})
	require.NoError(t, err, "no event says why there is no pod of %s", name)
	return said
}

// TestRunAsIsForEveryPodCreator tests the warning of deploy/docs/access.md.
func TestRunAsIsForEveryPodCreator(t *testing.T) {
	require.NoError(t, world.mayRunAs(t.Context(), atStart.namespace, "nightly", stranger))
	result := runBy(t, world.bob, atStart, "nightly", stranger)
	assert.Zero(t, result.ExitCode, result.Stderr)
}

// runBy runs kubectl run with a ServiceAccount, and does not keep the Pod.
func runBy(t *testing.T, who *controlplane.User, in discovery, account, user string) controlplane.Result {
	t.Helper()
	return kubectlAs(t, who, "run", "by", "-n", in.namespace, "--image="+images.Plain, "--labels=jupyter-user="+user, "--dry-run=server",
		`--overrides={"spec": {"serviceAccountName": "`+account+`"}}`)
}
