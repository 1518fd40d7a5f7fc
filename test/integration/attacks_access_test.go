package integration

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func attacks() map[string]attack {
	all := map[string]attack{}
	for _, some := range []map[string]attack{
		attacksOnAccess(), attacksOnNode(), attacksOnPod(), attacksOnContainers(), attacksOnShare(), attacksByOtherVolumes(),
		attacksOnClaims(), attacksAfterwards(), attacksOnBindings(), attacksOnDebug(),
	} {
		maps.Copy(all, some)
	}
	return all
}

func mayRunAs(homes ...string) rbacv1.PolicyRule {
	rule := mayUse(homes...)
	rule.Verbs = []string{"run-as"}
	return rule
}

// giveRights gives rights to the attackers and to the accounts that they try to use, and creates the ServiceAccounts and
// snapshot types of the attacks.
func (g *guarded) giveRights(t *testing.T) {
	t.Helper()
	controller := "system:serviceaccount:kube-system:job-controller"
	g.allow(t, "lab", controller, withPods, mayUse())
	g.allow(t, "lab", "dave", withPods, mayUse("alic"), mayUse("alice2"), mayUse("Alice"), mayUse("alice."))
	g.allow(t, "lab", binder, withPods)
	g.allow(t, "lab", statefulSets, withPods)
	g.allow(t, "open", statefulSets, withPods)
	require.NoError(t, g.Apply(t.Context(), snapshotType("VolumeSnapshot", "snapshot.storage.k8s.io", "v1")))
	require.NoError(t, g.Apply(t.Context(), snapshotType("VolumeGroupSnapshot", "groupsnapshot.storage.k8s.io", "v1beta1")))
	g.allow(t, "lab", "bob", rbacv1.PolicyRule{APIGroups: []string{"snapshot.storage.k8s.io"},
		Resources: []string{"volumesnapshots"}, Verbs: []string{"create"}})
	g.allow(t, "lab", "bob", rbacv1.PolicyRule{APIGroups: []string{"groupsnapshot.storage.k8s.io"},
		Resources: []string{"volumegroupsnapshots"}, Verbs: []string{"create"}})
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		// The API server serves a new CustomResourceDefinition only some time after its creation.
		assert.ErrorContains(c, snapshotShare(t, g), "ShareSnapshot: ")
		assert.ErrorContains(c, snapshotGroup(t, g), "ShareSnapshot: ")
	}, wait, wait/100)
	g.allow(t, "lab", "erin", withPods, mayRunAs("alice"))
	g.createAccount(t, "hub", mayUse())
	g.createAccount(t, "batch", mayRunAs("qiang.guo03"))
	g.allow(t, "kube-system", "system:serviceaccount:hub:hub", withPods, mayUse())
	_, err := g.admin(t).CoreV1().ServiceAccounts("kube-system").Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = g.admin(t).CoreV1().ServiceAccounts("jupyter-user-system").Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func createBy(requester, user string, change func(*corev1.Pod)) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		return create(t.Context(), g.clientOf(t, requester), "lab", injected(t, user, change))
	}
}

func unchanged(*corev1.Pod) {}

// byHub returns an attack: the hub creates alice's notebook with a change. The hub may use every home, so only a rule about
// the Pod can deny the attack.
func byHub(change func(*corev1.Pod)) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := injected(t, "alice")
		change(pod)
		return create(t.Context(), g.hub, "lab", pod)
	}
}

// removeMounts removes the init containers and all mounts of the containers, so that no rule about mounts can deny the Pod.
func removeMounts(pod *corev1.Pod) {
	pod.Spec.InitContainers = nil
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].VolumeMounts = nil
	}
}

func withServiceAccount(account string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = account }
}

func attacksOnAccess() map[string]attack {
	const rule, unservedRule, notInjected = "access/NoAccess", "access/NamespaceUnserved", "access/NotInjected"
	return map[string]attack{
		"kube-system":                 {unservedRule, createUnserved("kube-system")},
		"the webhook's own namespace": {unservedRule, createUnserved("jupyter-user-system")},
		"the label without the annotation": {notInjected, byHub(func(pod *corev1.Pod) {
			pod.Annotations = nil
			removeMounts(pod)
		})},
		"the label alone": {notInjected, byHub(func(pod *corev1.Pod) {
			*pod = *plainPod()
			pod.Labels = map[string]string{"jupyter-user": "alice"}
		})},
		"the hub's labels alone": {notInjected, byHub(func(pod *corev1.Pod) {
			*pod = *plainPod()
			pod.Labels = map[string]string{"hub.jupyter.org/username": "alice", "component": "singleuser-server"}
			pod.Annotations = map[string]string{"hub.jupyter.org/username": "alice"}
		})},
		"an empty user name": {notInjected, byHub(func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/user"] = ""
			removeMounts(pod)
		})},
		"a user name with a path": {notInjected, byHub(func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/user"] = "../alice"
			removeMounts(pod)
		})},
		"another user's label, discovery at admission": {rule, createBy("bob", "alice", unchanged)},
		"another user's label, discovery at start":     {rule, createBy("bob", "qiang.guo03", unchanged)},
		"a hub's Pod by a requester who is not the hub": {rule, createBy("bob", "alice", func(pod *corev1.Pod) {
			pod.Labels = map[string]string{"hub.jupyter.org/username": "alice", "app.kubernetes.io/component": "singleuser-server"}
			pod.Annotations = map[string]string{"hub.jupyter.org/username": "alice"}
		})},
		"rights to homes of similar names":              {rule, createBy("dave", "alice", unchanged)},
		"a pod with the hub's ServiceAccount":           {rule, createBy("bob", "alice", withServiceAccount("hub"))},
		"a ServiceAccount that may run as another user": {rule, createBy("bob", "alice", withServiceAccount("batch"))},
		"a requester with run-as instead of use":        {rule, createBy("erin", "alice", unchanged)},
		"a Job by a requester without the right, while the controller has it": {
			rule, createBy("system:serviceaccount:kube-system:job-controller", "alice", unchanged)},
		"a pod with a controller as owner reference": {rule, createBy("bob", "alice", func(pod *corev1.Pod) {
			pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "1",
				Controller: new(true)}}
		})},
	}
}

func attacksOnNode() map[string]attack {
	in := func(namespace string) func(*testing.T, *guarded) error {
		return func(t *testing.T, g *guarded) error {
			return create(t.Context(), g.carol, namespace, injected(t, "alice"))
		}
	}
	return map[string]attack{
		"a namespace without Pod Security":               {"node/NamespaceUnguarded", in("open")},
		"a namespace that enforces privileged":           {"node/NamespaceUnguarded", in("privileged")},
		"a shared process namespace":                     {"node/HostShared", byCarol(shareProcesses)},
		"a shared process namespace, discovery at start": {"node/HostShared", byCarolFor("qiang.guo03", shareProcesses)},
	}
}

func shareProcesses(pod *corev1.Pod) { pod.Spec.ShareProcessNamespace = new(true) }

// createUnserved returns an attack: an admin creates a notebook in a namespace that the webhook does not serve.
func createUnserved(namespace string) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		return create(t.Context(), g.admin(t), namespace, injected(t, "alice"))
	}
}
