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

// podTemplate is the template for the Pods of a workload. Its placeholders are the label app, the ServiceAccount and the
// restart policy.
const podTemplate = `{metadata: {labels: {app: %s, jupyter-user: ` + dan + `}, annotations: {jupyter-user.io/probes: "on"}}, spec: {serviceAccountName: %s, restartPolicy: %s,
  containers: [{name: nb, image: ` + images.Plain + `, command: [hello]}]}}`

// workloads has a manifest for each kind of workload. Its placeholders are the name of the workload and the template of the
// Pods. restart is the restart policy of the Pods. creator is the kind of the object that creates the Pods.
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

// deployAs creates a workload of the user dan as carol, who may not use his home, and returns the name of the workload.
// account is the ServiceAccount of the Pods.
func deployAs(t *testing.T, in discovery, kind, account string) string {
	t.Helper()
	w, name := workloads[kind], kind+"-by-"+account
	text := fmt.Sprintf(w.yaml, name, fmt.Sprintf(podTemplate, name, account, w.restart))
	result := tryCreateAs(t, cluster.carol, in.namespace, text)
	require.Zero(t, result.ExitCode, result.Stderr)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		assert.NoError(t, cluster.Admin.Do(ctx, "", "delete", kind, name, "-n", in.namespace, "--cascade=foreground", "--wait"))
	})
	if kind == "cronjob" {
		// With this last run in its status, the CronJob is due now.
		past := time.Now().Add(-90 * time.Second).UTC().Format(time.RFC3339)
		require.NoError(t, cluster.Admin.Do(t.Context(), "", "patch", kind, name, "-n", in.namespace, "--subresource=status",
			"--type=merge", `-p={"status": {"lastScheduleTime": "`+past+`"}}`))
	}
	return name
}

func podsOf(ctx context.Context, in discovery, name string) ([]corev1.Pod, error) {
	list, err := cluster.Client.CoreV1().Pods(in.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// TestWorkloads creates workloads as carol, for a user whose home she may not use. If the ServiceAccount of the Pods may
// not run as this user, no Pod is created, and an event says why, and what to do. If the ServiceAccount may, the Pods run.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		require.NoError(t, cluster.allowRunAs(t.Context(), discovery.namespace, "nightly", dan))
		for kind := range workloads {
			t.Run("denied/"+kind+"/"+discovery.name, func(t *testing.T) {
				t.Parallel()
				name := deployAs(t, discovery, kind, "default")
				output := denialEvent(t, discovery, workloads[kind].creator, name)
				assert.Contains(t, output, "NoAccess: metadata.annotations[jupyter-user.io/user]: system:serviceaccount:kube-system:")
				assert.Contains(t, output, "-controller may not use the home of dan in namespace "+discovery.namespace+", and the ServiceAccount "+
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
				assertOwned(t, p, homeOf(dan))
			})
		}
	}
}

// denialEvent waits for the event that says why a Pod of the workload was denied, and returns it as carol sees it. The
// event is about the object that creates the Pods, whose kind is creator.
func denialEvent(t *testing.T, in discovery, creator, name string) string {
	t.Helper()
	var output string
	err := await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
		result, err := cluster.carol.Kubectl(ctx, "get", "events", "-n", in.namespace, "--field-selector=reason=FailedCreate",
			`-o=jsonpath={range .items[*]}{.involvedObject.kind}/{.involvedObject.name}: {.message}{"\n"}{end}`)
		for line := range strings.Lines(result.Stdout) {
			if strings.HasPrefix(line, creator+"/"+name) {
				output = line
			}
		}
		return output != "", err
	})
	require.NoError(t, err, "no event says why there is no pod of %s", name)
	return output
}

// TestRunAsForEveryPodCreator tests the warning of deploy/docs/access.md: everyone who can create Pods in the namespace can
// use a ServiceAccount that may run as a user.
func TestRunAsForEveryPodCreator(t *testing.T) {
	require.NoError(t, cluster.allowRunAs(t.Context(), atStart.namespace, "nightly", dan))
	result := dryRunWithAccount(t, cluster.bob, atStart, "nightly", dan)
	assert.Zero(t, result.ExitCode, result.Stderr)
}

// dryRunWithAccount creates a Pod of the given user in a dry run, as the requester, and returns the result of kubectl.
// account is the ServiceAccount of the Pod.
func dryRunWithAccount(t *testing.T, requester *controlplane.User, in discovery, account, user string) controlplane.Result {
	t.Helper()
	return kubectlAs(t, requester, "run", "by", "-n", in.namespace, "--image="+images.Plain, "--labels=jupyter-user="+user,
		"--dry-run=server", `--overrides={"spec": {"serviceAccountName": "`+account+`"}}`)
}
