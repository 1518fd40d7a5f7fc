package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// addSidecarWithHome adds a sidecar that gets the home by annotation.
func addSidecarWithHome(pod *corev1.Pod) {
	pod.Annotations = map[string]string{"jupyter-user.io/home-in": "side"}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x"})
}

// TestHomeInSidecar tests that with the shipped webhook and policies, a notebook with a sidecar that has the home is
// admitted. After that, a change of the annotation is denied, and so is a mount of the share in a container that kubectl
// debug adds. With discovery at start, a notebook whose annotation gives the home to a sidecar is denied.
func TestHomeInSidecar(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "lab", "baseline")
	require.NoError(t, c.Allow(t.Context(), "lab", c.carol, withPods))
	client, err := kubernetes.NewForConfig(c.carol.Config)
	require.NoError(t, err)
	pods := client.CoreV1().Pods("lab")
	pod := plainPod()
	pod.Labels = map[string]string{"jupyter-user": "alice"}
	addSidecarWithHome(pod)
	made, err := pods.Create(t.Context(), pod.DeepCopy(), metav1.CreateOptions{})
	require.NoError(t, err)
	side := made.Spec.Containers[1]
	for _, at := range []string{"/data/hpc/home/alice", "/home/alice"} {
		assert.Contains(t, side.VolumeMounts, corev1.VolumeMount{Name: "hpc-shared-volume", MountPath: at, SubPath: "home/alice"})
	}
	assert.Equal(t, int64(5001), *side.SecurityContext.RunAsUser)
	assert.Equal(t, int64(6001), *side.SecurityContext.RunAsGroup)
	assert.Equal(t, []corev1.Capability{"ALL"}, side.SecurityContext.Capabilities.Drop)

	_, err = pods.Patch(t.Context(), made.Name, types.MergePatchType,
		[]byte(`{"metadata": {"annotations": {"jupyter-user.io/home-in": "side,debugger"}}}`), metav1.PatchOptions{})
	assert.ErrorContains(t, err, "AnnotationChanged: metadata.annotations[jupyter-user.io/home-in]")
	added := debugger()
	added.TargetContainerName = "side"
	// The API server allows no subPath in an ephemeral container, so an attacker can only mount the whole share.
	added.VolumeMounts = []corev1.VolumeMount{{Name: "hpc-shared-volume", MountPath: "/home/alice"}}
	made.Spec.EphemeralContainers = []corev1.EphemeralContainer{added}
	_, err = pods.UpdateEphemeralContainers(t.Context(), made.Name, made, metav1.UpdateOptions{})
	assert.ErrorContains(t, err, "MountForeign: spec.ephemeralContainers")

	for name, annotation := range map[string]string{
		"is no container or init container of this Pod": "other", "names no container": "side,",
	} {
		wrong := pod.DeepCopy()
		wrong.Annotations["jupyter-user.io/home-in"] = annotation
		_, err = pods.Create(t.Context(), wrong, metav1.CreateOptions{})
		assert.ErrorContains(t, err, name)
	}
	late := pod.DeepCopy()
	late.Labels["jupyter-user"] = "qiang.guo03"
	_, err = pods.Create(t.Context(), late, metav1.CreateOptions{})
	assert.ErrorContains(t, err, "a container other than the notebook container can have the home only if the UID and GID of the user are known at admission")
}

// TestNetAdmitsHomeInSidecar tests, without the webhook, that the policy net.jupyter-user.io allows the home in a
// sidecar, and nothing else of the share.
func TestNetAdmitsHomeInSidecar(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: shippedPolicies(t)})
	made := injected(t, "alice", addSidecarWithHome)
	require.NoError(t, create(t.Context(), g.carol, "lab", made.DeepCopy()))
	for name, subPath := range map[string]string{"another user's home": "home/bob", "all homes": "home", "the whole share": ""} {
		t.Run(name, func(t *testing.T) {
			pod := made.DeepCopy()
			pod.Spec.Containers[1].VolumeMounts[0].SubPath = subPath
			assert.ErrorContains(t, create(t.Context(), g.carol, "lab", pod), "MountForeign: spec: a container mounts something of the share")
		})
	}
}
