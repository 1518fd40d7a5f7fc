package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const noAccess = "access/NoAccess"

// TestAccess tests requests that the policies admit or deny because of the rights of the requester or of the Pod's
// ServiceAccount.
func TestAccess(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for name, test := range map[string]func(*testing.T, *guarded){
		"a requester with the right to one home":       oneHome,
		"a hub with the right to every home":           everyHome,
		"a Deployment or a Job, by its ServiceAccount": byServiceAccount,
		"a right in another namespace":                 otherNamespace,
		"a right that was just revoked":                revoked,
		"the message of a denial":                      denialNamesTheRight,
		"a backup mounts the whole share":              backup,
		"a large Pod without the share":                largePod,
		"the share's claim":                            claimOfTheShare,
		"an update of fields that are not injected":    updateOtherFields,
		"kubectl debug by a requester with the right":  debugWithRight,
		"exec into the notebook container":             execNotebook,
	} {
		t.Run(name, func(t *testing.T) { test(t, g) })
	}
	// The following tests change the policies for all tests of this API server, so they come last.
	t.Run("value access.ownHomes", func(t *testing.T) { ownHomes(t, g) })
	t.Run("value access.controllers", func(t *testing.T) { controllersDenied(t, g) })
	t.Run("value access.schedulers", func(t *testing.T) { schedulerRepeats(t, g) })
	t.Run("podSecurity off", func(t *testing.T) { podSecurityOff(t, g) })
}

func oneHome(t *testing.T, g *guarded) {
	g.allow(t, "lab", "frank", withPods, mayUse("frank"))
	frank := g.clientOf(t, "frank")
	assert.NoError(t, create(t.Context(), frank, "lab", injected(t, "frank")))
	assertDenied(t, create(t.Context(), frank, "lab", injected(t, "alice")), noAccess)
}

func everyHome(t *testing.T, g *guarded) {
	asHubPod := func(pod *corev1.Pod) {
		pod.Labels = map[string]string{"hub.jupyter.org/username": "gina---1facc80f", "component": "singleuser-server"}
		pod.Annotations = map[string]string{"hub.jupyter.org/username": "gina"}
		pod.Spec.Containers[0].Name = "notebook"
	}
	pod := injected(t, "gina", asHubPod)
	assert.Equal(t, "gina", pod.Annotations["jupyter-user.io/user"])
	assert.NoError(t, create(t.Context(), g.hub, "lab", pod))
	assertDenied(t, create(t.Context(), g.carol, "lab", pod), noAccess)
}

// byServiceAccount creates Pods under the user names of Kubernetes' controllers, because no controller manager runs here.
func byServiceAccount(t *testing.T, g *guarded) {
	g.createAccount(t, "nightly", mayRunAs("alice"))
	for _, controller := range []string{"replicaset-controller", "job-controller", "cronjob-controller", "statefulset-controller"} {
		name := "system:serviceaccount:kube-system:" + controller
		g.allow(t, "lab", name, withPods)
		client := g.clientOf(t, name)
		assert.NoError(t, create(t.Context(), client, "lab", injected(t, "alice", withServiceAccount("nightly"))), controller)
		assertDenied(t, create(t.Context(), client, "lab", injected(t, "qiang.guo03", withServiceAccount("nightly"))), noAccess)
		err := create(t.Context(), client, "lab", injected(t, "alice"))
		assertDenied(t, err, noAccess)
		assert.Contains(t, err.Error(), "pods of a Deployment or a Job need the verb run-as, for their ServiceAccount")
	}
	assert.NoError(t, create(t.Context(), g.bob, "lab", injected(t, "alice", withServiceAccount("nightly"))),
		"run-as means everybody who may create pods here, as its role warns")
}

func otherNamespace(t *testing.T, g *guarded) {
	require.NoError(t, g.Namespace(t.Context(), "elsewhere", map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	g.allow(t, "elsewhere", "carol", withPods)
	assertDenied(t, create(t.Context(), g.carol, "elsewhere", injected(t, "alice")), noAccess)
}

func revoked(t *testing.T, g *guarded) {
	g.allow(t, "lab", "heidi", withPods)
	heidi, rbac := g.clientOf(t, "heidi"), g.admin(t).RbacV1()
	g.allow(t, "lab", "heidi", mayUse("alice"))
	require.NoError(t, create(t.Context(), heidi, "lab", injected(t, "alice")))
	roles, err := rbac.RoleBindings("lab").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, binding := range roles.Items {
		role, err := rbac.Roles("lab").Get(t.Context(), binding.RoleRef.Name, metav1.GetOptions{})
		require.NoError(t, err)
		if binding.Subjects[0].Name == "heidi" && strings.Contains(role.String(), "homes") {
			require.NoError(t, rbac.RoleBindings("lab").Delete(t.Context(), binding.Name, metav1.DeleteOptions{}))
		}
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "heidi",
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "lab", Verb: "use", Group: "jupyter-user.io",
			Resource: "homes", Name: "alice"}}}
	require.Eventually(t, func() bool {
		reviewed, err := g.admin(t).AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		return err == nil && !reviewed.Status.Allowed
	}, wait, wait/1000)
	assertDenied(t, create(t.Context(), heidi, "lab", injected(t, "alice")), noAccess)
}

func denialNamesTheRight(t *testing.T, g *guarded) {
	err := create(t.Context(), g.bob, "lab", injected(t, "alice"))
	assert.ErrorContains(t, err, "NoAccess: metadata.annotations[jupyter-user.io/user]: bob may not use the home of alice in "+
		"namespace lab, and the ServiceAccount default may not run as alice: ask the admin for a role with the verb use on "+
		"homes.jupyter-user.io named alice")
	_, message, _ := strings.Cut(err.Error(), "NoAccess: ")
	err = create(t.Context(), g.bob, "lab", injected(t, "nobody-has-this-home"))
	assert.ErrorContains(t, err, strings.ReplaceAll(message, "alice", "nobody-has-this-home"), "the message does not show which homes exist")
}

func backup(t *testing.T, g *guarded) {
	raw := func() *corev1.Pod {
		pod := plainPod()
		pod.Spec.Volumes = []corev1.Volume{claimVolume("all")}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "all", MountPath: "/all"}}
		return pod
	}
	shares := mayUse()
	shares.Resources = []string{"shares"}
	g.allow(t, "lab", "ivan", withPods, shares)
	ivan := g.clientOf(t, "ivan")
	assert.NoError(t, create(t.Context(), ivan, "lab", raw()))
	labelled := raw()
	labelled.Labels = map[string]string{"jupyter-user": "alice"}
	assert.ErrorContains(t, create(t.Context(), ivan, "lab", labelled), "denied request: ", "the policy net.jupyter-user.io denies it too")
	labelled.Spec.Containers[0].VolumeMounts = nil
	assertDenied(t, create(t.Context(), ivan, "lab", labelled), "access/NotInjected")

	runs := mayRunAs()
	runs.Resources = []string{"shares"}
	g.createAccount(t, "backup", runs)
	job := raw()
	job.Spec.ServiceAccountName = "backup"
	g.allow(t, "lab", "system:serviceaccount:kube-system:job-controller", withPods)
	controller := g.clientOf(t, "system:serviceaccount:kube-system:job-controller")
	assert.NoError(t, create(t.Context(), controller, "lab", job))
	assertDenied(t, create(t.Context(), controller, "lab", raw()), "share/ShareMounted")
	assertDenied(t, create(t.Context(), ivan, "lab", injected(t, "alice")), noAccess)
}

// largePod tests that the number of a Pod's containers alone makes no policy deny it.
func largePod(t *testing.T, g *guarded) {
	pod := plainPod()
	pod.Spec.Volumes = []corev1.Volume{{Name: "tmp"}}
	pod.Spec.Containers = append(pod.Spec.Containers, moreContainers("c", 150)...)
	pod.Spec.InitContainers = moreContainers("i", 150)
	assert.NoError(t, create(t.Context(), g.carol, "lab", pod))
	stored := createStored(t, g.carol, pod.DeepCopy())
	added := debugger()
	added.TargetContainerName = ""
	assert.NoError(t, addEphemeral(t, g.carol, stored, added))
	pod.Spec.Volumes[0] = claimVolume("tmp")
	assertDenied(t, create(t.Context(), g.carol, "lab", pod), "share/PodTooLarge")
}

// claimOfTheShare tests changes of the share's claim that the policy claims.jupyter-user.io admits.
func claimOfTheShare(t *testing.T, g *guarded) {
	bound := boundShareClaim(t, g, "lab")
	claims := g.bob.CoreV1().PersistentVolumeClaims("lab")
	labelled := bound.DeepCopy()
	labelled.Labels = map[string]string{"example.com/x": "y"}
	_, err := claims.Update(t.Context(), labelled, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	assert.NoError(t, err, "a label needs no right to the share")
	grown := bound.DeepCopy()
	grown.Status.Capacity = corev1.ResourceList{"storage": resource.MustParse("2Gi")}
	_, err = claims.UpdateStatus(t.Context(), grown, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	assert.NoError(t, err, "the controller of a storage driver, which has no right to the share, sets the status")
	assert.NoError(t, enlarge(t.Context(), g.admin(t), bound), "the admin may use the share")
}

func updateOtherFields(t *testing.T, g *guarded) {
	pod := createStored(t, g.carol, injected(t, "alice", addGate, func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/x"} }))
	for subresource, patch := range map[string]string{
		"":       `{"metadata": {"labels": {"app": "x"}, "annotations": {"example.com/x": "y"}}}`,
		"status": `{"status": {"message": "pulling"}}`,
		"resize": `{"spec": {"containers": [{"name": "nb", "resources": {"requests": {"memory": "1Gi"}}}]}}`,
	} {
		var subresources []string
		if subresource != "" {
			subresources = []string{subresource}
		}
		_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.StrategicMergePatchType, []byte(patch),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, subresources...)
		assert.NoError(t, err, subresource)
	}
	for _, patch := range []string{`{"metadata": {"finalizers": null}}`, `{"spec": {"schedulingGates": null}}`} {
		_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		assert.NoError(t, err, patch)
	}
	_, err := g.carol.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.StrategicMergePatchType,
		[]byte(`{"spec": {"containers": [{"name": "nb", "image": "newer"}]}}`), metav1.PatchOptions{})
	assert.NoError(t, err, "a user of the home may change the image")
}

func debugWithRight(t *testing.T, g *guarded) {
	assert.NoError(t, withDebugger(carol, unchangedContainer)(t, g))
}

func execNotebook(t *testing.T, g *guarded) {
	assert.NoError(t, enterContainer("nb", "exec")(t, g))
	assert.NoError(t, enterContainer("nb", "attach")(t, g))
}
