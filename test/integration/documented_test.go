package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// TestDenialsOfThePage compares two files of testdata with the output of kubectl. The page deploy/docs/denials.md includes
// these files. UPDATE_GOLDEN=1 writes the files.
func TestDenialsOfThePage(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "lab", "baseline")
	bob := c.createUser(t, "bob", "lab")
	for file, user := range map[string]string{"denied-by-the-webhook.txt": "root", "denied-by-a-policy.txt": "alice"} {
		arguments := []string{"run", "nb", "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=" + user}
		denied, err := bob.Kubectl(t.Context(), append(arguments, "-n", "lab")...)
		require.NoError(t, err)
		assert.Equal(t, 1, denied.ExitCode)
		printed := "$ kubectl " + strings.Join(arguments, " ") + "\n" + denied.Stderr
		path := filepath.Join("testdata", file)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.WriteFile(path, []byte(printed), 0o644))
			continue
		}
		shown, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Empty(t, udiff.Unified(path, "printed", string(shown), printed), "UPDATE_GOLDEN=1 writes it again")
	}
}

// createUser returns a new user who has the given rights and those of withPods in a namespace.
func (c *cluster) createUser(t *testing.T, name, namespace string, rules ...rbacv1.PolicyRule) *controlplane.User {
	t.Helper()
	user, err := c.User(name)
	require.NoError(t, err)
	require.NoError(t, c.Allow(t.Context(), namespace, user, append(rules, withPods)...))
	return user
}

// TestRightsOfKubectlUser tests that with the rights of deploy/examples/kubectl-user.yaml and one-home.yaml, alice can run
// the commands of deploy/docs/pods.md, and lacks some other rights, such as the right to exec.
func TestRightsOfKubectlUser(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "lab", "baseline")
	require.NoError(t, c.Admin.Do(t.Context(), "", "apply", "-f", examples+"kubectl-user.yaml", "-f", examples+"one-home.yaml"))
	alice, err := c.User("alice@corp.example")
	require.NoError(t, err)
	run := "run nb --image=quay.io/jupyter/minimal-notebook --labels=jupyter-user=alice -n lab"
	require.NoError(t, alice.Do(t.Context(), "", strings.Fields(run)...))
	c.assertDescribed(t, alice)
	for _, command := range []string{
		"get pod nb", "delete pod nb --now", "auth can-i watch pods", "auth can-i get pods --subresource=log",
		"auth can-i create pods --subresource=portforward",
		"auth can-i get pods --subresource=portforward",
	} {
		require.NoError(t, alice.Do(t.Context(), "", append(strings.Fields(command), "-n", "lab")...))
	}
	for _, right := range []string{"create pods --subresource=exec", "get secrets", "create pods --subresource=attach", "patch pods",
		"create deployments.apps", "create events"} {
		may, err := alice.Kubectl(t.Context(), append(strings.Fields("auth can-i "+right), "-n", "lab")...)
		require.NoError(t, err)
		assert.Equal(t, "no\n", may.Stdout, right)
	}
}

// assertDescribed asserts that kubectl describe shows a user the events of the Pod nb. Without the right to list events,
// kubectl leaves them out and reports no error.
func (c *cluster) assertDescribed(t *testing.T, user *controlplane.User) {
	t.Helper()
	pod, err := c.Admin.Kubectl(t.Context(), "get", "pod", "nb", "-n", "lab", "-o", "jsonpath={.metadata.uid}")
	require.NoError(t, err)
	require.NoError(t, c.Admin.Do(t.Context(), `{apiVersion: v1, kind: Event, metadata: {name: nb.1, namespace: lab}, type: Warning,
reason: FailedScheduling, message: "0/1 nodes are available: insufficient memory.",
involvedObject: {apiVersion: v1, kind: Pod, name: nb, namespace: lab, uid: "`+pod.Stdout+`"}}`, "create", "-f", "-"))
	described, err := user.Kubectl(t.Context(), "describe", "pod", "nb", "-n", "lab")
	require.NoError(t, err)
	assert.Equal(t, 0, described.ExitCode, described.Stderr)
	_, events, _ := strings.Cut(described.Stdout, "\nEvents:")
	assert.Contains(t, events, "0/1 nodes are available: insufficient memory.")
}

// TestMissingWebhookConfigurations tests the lines "the MutatingWebhookConfiguration" and "both" of the table "When
// something is missing" in the threat model. TestOtherPodsWhileWebhookDown, TestVerifierDeniesLaterChanges and
// TestNetDeniesInvalidNames test other lines.
func TestMissingWebhookConfigurations(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "lab", "baseline")
	admin, err := kubernetes.NewForConfig(c.Admin.Config)
	require.NoError(t, err)
	configurations := admin.AdmissionregistrationV1()
	notInjected := func(t *testing.T) {
		t.Helper()
		require.EventuallyWithT(t, func(a *assert.CollectT) {
			denied := c.kubectl(t, "run", "nb", "-n", "lab", "--dry-run=server", "--image=a", "--labels=jupyter-user=alice")
			assert.Equal(a, 1, denied.ExitCode)
			assert.Contains(a, denied.Stderr, "NotInjected")
		}, wait, wait/100)
	}
	g := &guarded{ControlPlane: c.ControlPlane}
	g.allow(t, "lab", "dora", withPods, mayUse("alice"))
	dora := g.clientOf(t, "dora")

	require.NoError(t, configurations.MutatingWebhookConfigurations().Delete(t.Context(), "00-jupyter-user-webhook", metav1.DeleteOptions{}))
	notInjected(t)
	require.NoError(t, configurations.ValidatingWebhookConfigurations().Delete(t.Context(), "jupyter-user-webhook", metav1.DeleteOptions{}))
	notInjected(t)
	forged, another := injected(t, "alice"), injected(t, "alice")
	uid := int64(4242)
	forged.Spec.Containers[0].SecurityContext.RunAsUser = &uid
	require.EventuallyWithT(t, func(a *assert.CollectT) {
		assert.NoError(a, create(t.Context(), dora, "lab", forged.DeepCopy()), "a Pod written by hand, with another UID")
	}, wait, wait/100)
	another.Spec.Containers[0].VolumeMounts[0].SubPath = "home/bob"
	assertDenied(t, create(t.Context(), dora, "lab", another), "net/MountForeign")
}
