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

// noAccess returns the sentence for a requester without the right to a home.
func noAccess(who, user, namespace, account string) string {
	return fmt.Sprintf("denied request: NoAccess: metadata.annotations[jupyter-user.io/user]: %s may not use the home of %s in "+
		"namespace %s, and the ServiceAccount %s may not run as %[2]s: ask the admin for a role with the verb use on "+
		"homes.jupyter-user.io named %[2]s", who, user, namespace, account)
}

// TestNotOnesHome tests that bob, who may create Pods but use no home, gets no notebook.
func TestNotOnesHome(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			result := kubectlAs(t, world.bob, "run", "nb", "-n", discovery.namespace, "--image="+images.Plain, "--labels=jupyter-user=alice")
			assertDenied(t, result, `Error from server (Forbidden): pods "nb" is forbidden: ValidatingAdmissionPolicy `+
				`'access.jupyter-user.io' with binding 'access.jupyter-user.io' `+noAccess("bob", "alice", discovery.namespace, "default"))
		})
	}
}

// revokedLimit is the time limit until a deleted RoleBinding has no effect, as the API server watches them.
const revokedLimit = 5 * time.Second

// TestARightTakenBack tests that a deleted RoleBinding has no effect after a moment, and that no running Pod stops.
func TestARightTakenBack(t *testing.T) {
	t.Parallel()
	require.NoError(t, world.makeNamespace(t.Context(), "taken-back", "baseline"))
	require.NoError(t, world.apply(t.Context(), fmt.Sprintf(storage, "taken-back", world.share.root)))
	require.NoError(t, world.mayUse(t.Context(), world.bob, "taken-back", "alice"))
	try := func(ctx context.Context, more ...string) (controlplane.Result, error) {
		return world.bob.Kubectl(ctx, append([]string{"run", "nb", "-n", "taken-back", "--image=" + images.Plain,
			"--labels=jupyter-user=alice"}, more...)...)
	}
	result, err := try(t.Context(), withProbes, "--command", "--", "hello")
	require.NoError(t, err)
	require.Zero(t, result.ExitCode, result.Stderr)
	p := created(t, "taken-back", "nb")
	p.ready(t)

	require.NoError(t, world.Admin.Do(t.Context(), "", "delete", "rolebinding", useHomes(world.bob), "-n", "taken-back"))
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

// spawned is a Pod as KubeSpawner creates it.
const spawned = `
apiVersion: v1
kind: Pod
metadata:
  name: jupyter-dan
  labels: {app: jupyterhub, component: singleuser-server, hub.jupyter.org/username: ` + otherUser + `}
  annotations: {hub.jupyter.org/username: ` + otherUser + `, jupyter-user.io/probes: "on"}
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

// createsPods is the part of a hub's rights that these tests need.
var createsPods = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get"}}

// TestHub tests that the hub may spawn a Pod of any user, and no other requester gets that right.
func TestHub(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			hub, err := world.mayUseEveryHome(t.Context(), discovery.namespace)
			require.NoError(t, err)
			require.NoError(t, world.Allow(t.Context(), discovery.namespace, hub, createsPods))
			t.Run("the same pod by another requester", func(t *testing.T) {
				assertDenied(t, tryCreateAs(t, world.carol, discovery.namespace, spawned), noAccess("carol", otherUser, discovery.namespace, "default"))
			})
			t.Run("a pod by the hub's ServiceAccount", func(t *testing.T) {
				assertDenied(t, runBy(t, world.carol, discovery, "hub", otherUser), noAccess("carol", otherUser, discovery.namespace, "hub"))
			})
			result := tryCreateAs(t, hub, discovery.namespace, spawned)
			require.Zero(t, result.ExitCode, result.Stderr)
			p := created(t, discovery.namespace, "jupyter-dan")
			p.ready(t)
			assertOwned(t, p, homeOf(otherUser))
		})
	}
}

// asHub is a Pod that is not claimed and runs with the hub's ServiceAccount.
const asHub = `
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

// TestPodsBesideAHubHaveItsRights runs another Pod with the hub's ServiceAccount. Kubernetes gives a ServiceAccount's token to
// every Pod that names the ServiceAccount, and the token has the hub's rights. No policy can distinguish such a Pod from the
// hub's own, so only the hub may run Pods in its namespace.
func TestPodsBesideAHubHaveItsRights(t *testing.T) {
	hub, err := world.mayUseEveryHome(t.Context(), atStart.namespace)
	require.NoError(t, err)
	require.NoError(t, world.Allow(t.Context(), atStart.namespace, hub, createsPods))
	p := create(t, atStart, "as-hub", asHub)
	p.await(t, readyLimit, "to end", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	config := rest.AnonymousClientConfig(world.carol.Config)
	config.BearerToken = kubectl(t, "logs", p.name, "-n", p.namespace).Stdout
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	notebook := &corev1.Pod{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(spawned), notebook))
	_, err = client.CoreV1().Pods(p.namespace).Create(t.Context(), notebook, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	assert.NoError(t, err, "if this is denied one day, change the threat model")
}
