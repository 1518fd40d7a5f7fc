package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// noAccess returns the denial for a requester without the right to use the home of the given user. account is the
// ServiceAccount of the Pod.
func noAccess(requester, user, namespace, account string) string {
	return fmt.Sprintf("denied request: NoAccess: metadata.annotations[jupyter-user.io/user]: %s may not use the home of %s in "+
		"namespace %s, and the ServiceAccount %s may not run as %[2]s: ask the admin for a role with the verb use on "+
		"homes.jupyter-user.io named %[2]s", requester, user, namespace, account)
}

// TestRequesterWithoutAccess tests that bob, who may create Pods but may not use any home, is denied a notebook.
func TestRequesterWithoutAccess(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			result := kubectlAs(t, cluster.bob, "run", "nb", "-n", discovery.namespace, "--image="+images.Plain,
				"--labels=jupyter-user=alice")
			assertDenied(t, result, `Error from server (Forbidden): pods "nb" is forbidden: ValidatingAdmissionPolicy `+
				`'access.jupyter-user.io' with binding 'access.jupyter-user.io' `+noAccess("bob", "alice", discovery.namespace, "default"))
		})
	}
}

// revokedLimit is the time limit until the deletion of a RoleBinding has an effect. The API server reads the deletion with
// a short delay.
const revokedLimit = 5 * time.Second

// TestRevokedAccess tests that soon after a RoleBinding is deleted, its subject can create no new notebook. A notebook that
// already runs keeps running.
func TestRevokedAccess(t *testing.T) {
	t.Parallel()
	require.NoError(t, cluster.makeNamespace(t.Context(), "taken-back", "baseline"))
	require.NoError(t, cluster.apply(t.Context(), fmt.Sprintf(shareTemplate, "taken-back", cluster.share.root)))
	require.NoError(t, cluster.allowUse(t.Context(), cluster.bob, "taken-back", "alice"))
	try := func(ctx context.Context, more ...string) (controlplane.Result, error) {
		return cluster.bob.Kubectl(ctx, append([]string{"run", "nb", "-n", "taken-back", "--image=" + images.Plain,
			"--labels=jupyter-user=alice"}, more...)...)
	}
	result, err := try(t.Context(), withProbes, "--command", "--", "hello")
	require.NoError(t, err)
	require.Zero(t, result.ExitCode, result.Stderr)
	p := removeAtEnd(t, "taken-back", "nb")
	p.ready(t)

	require.NoError(t, cluster.Admin.Do(t.Context(), "", "delete", "rolebinding", useHomesName(cluster.bob), "-n", "taken-back"))
	watch := machine.WatchDuring(t)
	began := time.Now()
	require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
		result, err = try(ctx, "--dry-run=server")
		return result.ExitCode != 0, err
	}))
	took := time.Since(began)
	t.Logf("denied %s after the right was gone", took.Round(time.Millisecond))
	watch.Within(t, took, revokedLimit, "a right to be gone")
	assertDenied(t, result, noAccess("bob", "alice", "taken-back", "default"))
	assertOwned(t, p, homeOf("alice"))
}

// spawnedPod is a Pod as KubeSpawner creates it.
const spawnedPod = `
apiVersion: v1
kind: Pod
metadata:
  name: jupyter-dan
  labels: {app: jupyterhub, component: singleuser-server, hub.jupyter.org/username: ` + dan + `}
  annotations: {hub.jupyter.org/username: ` + dan + `, jupyter-user.io/probes: "on"}
spec:
  automountServiceAccountToken: false
  securityContext: {fsGroup: 100}
  containers:
  - name: notebook
    image: ` + images.Plain + `
    command: [hello]
    ports: [{containerPort: 8888, name: notebook-port}]
    securityContext: {allowPrivilegeEscalation: false, runAsUser: 1000}
`

// createPods are those rights of a hub that these tests need.
var createPods = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get"}}

// TestHubServiceAccount tests that a hub's ServiceAccount may create a notebook of a user, and that another requester may
// not create the same notebook, nor a notebook that runs with the hub's ServiceAccount.
func TestHubServiceAccount(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			hub, err := cluster.allowUseOfEveryHome(t.Context(), discovery.namespace)
			require.NoError(t, err)
			require.NoError(t, cluster.Allow(t.Context(), discovery.namespace, hub, createPods))
			t.Run("the same pod by another requester", func(t *testing.T) {
				assertDenied(t, tryCreateAs(t, cluster.carol, discovery.namespace, spawnedPod),
					noAccess("carol", dan, discovery.namespace, "default"))
			})
			t.Run("a pod that runs with the hub's ServiceAccount", func(t *testing.T) {
				assertDenied(t, dryRunWithAccount(t, cluster.carol, discovery, "hub", dan),
					noAccess("carol", dan, discovery.namespace, "hub"))
			})
			result := tryCreateAs(t, hub, discovery.namespace, spawnedPod)
			require.Zero(t, result.ExitCode, result.Stderr)
			p := removeAtEnd(t, discovery.namespace, "jupyter-dan")
			p.ready(t)
			assertOwned(t, p, homeOf(dan))
		})
	}
}

// podAsHub is a Pod that runs with the hub's ServiceAccount, and prints the ServiceAccount's token. The Pod is no notebook.
const podAsHub = `
apiVersion: v1
kind: Pod
metadata: {name: as-hub}
spec:
  serviceAccountName: hub
  restartPolicy: Never
  containers:
  - name: c
    image: ` + images.Plain + `
    command: [cat, /var/run/secrets/kubernetes.io/serviceaccount/token]
    securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1000, capabilities: {drop: [ALL]}}
`

// TestPodWithHubServiceAccount tests that a Pod with the hub's ServiceAccount has the hub's rights. Kubernetes gives a
// ServiceAccount's token to every Pod that names the ServiceAccount. No policy can distinguish such a Pod from the hub's own
// Pod, so only the hub should run Pods in its namespace.
func TestPodWithHubServiceAccount(t *testing.T) {
	hub, err := cluster.allowUseOfEveryHome(t.Context(), atStart.namespace)
	require.NoError(t, err)
	require.NoError(t, cluster.Allow(t.Context(), atStart.namespace, hub, createPods))
	p := create(t, atStart, "as-hub", podAsHub)
	p.await(t, readyLimit, "to end", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	config := rest.AnonymousClientConfig(cluster.carol.Config)
	config.BearerToken = kubectl(t, "logs", p.name, "-n", p.namespace).Stdout
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	notebook := &corev1.Pod{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(spawnedPod), notebook))
	_, err = client.CoreV1().Pods(p.namespace).Create(t.Context(), notebook, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	assert.NoError(t, err, "if this is denied one day, change the threat model")
}
