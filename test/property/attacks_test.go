package property

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// An attack is a change to an admitted notebook, with which an attacker tries to reach more than the home. The verifier
// must deny the changed Pod, and one of the denials must have the reason.
type attack struct {
	reason string
	change func(*corev1.Pod)
}

const share, scratch = "hpc-shared-volume", "uid-gid-config"

// TestVerifierDeniesAttacks tests that the verifier denies each attack without any policy.
func TestVerifierDeniesAttacks(t *testing.T) {
	t.Parallel()
	id := identity.New(5003, 6003, []int64{7001})
	atAdmission := golden.Case{Config: config.Default(), Identity: &id}.WithSharedWebhook()
	atStart := golden.Case{Config: config.Default()}.WithSharedWebhook()
	more := config.Default()
	more.Share.Directories = []config.Directory{{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly}}
	exposing := config.Default()
	exposing.Share.ExposeEveryHome = config.ExposeToTheUser
	keeps := config.Default()
	keeps.Share.FSGroup = config.FSGroupKeep
	for name, c := range map[string]struct {
		condition golden.Case
		attacks   map[string]attack
	}{
		"fsGroup Keep":           {golden.Case{Config: keeps, Identity: &id}.WithSharedWebhook(), attacksByFSGroup("GroupForeign", 0, 50, 6002)},
		"fsGroup Keep, at start": {golden.Case{Config: keeps}.WithSharedWebhook(), attacksByFSGroup("Drifted", 0, 6003, 7001)},
		"at admission":           {atAdmission, attacksOnFields()},
		"at start":               {atStart, attacksAtStart()},
		"with directories":       {golden.Case{Config: more, Identity: &id}.WithSharedWebhook(), attacksByOtherContainers()},
		"with every home":        {golden.Case{Config: exposing, Identity: &id}.WithSharedWebhook(), attacksByOtherContainers()},
		"in another user's home": {golden.Case{Config: exposing, Identity: &id}.WithSharedWebhook(), attacksInAnotherHome()},
	} {
		made := admit(t, c.condition, []byte(bare))
		require.Empty(t, c.condition.Verify(made).Denials)
		for does, a := range c.attacks {
			t.Run(name+"/"+does, func(t *testing.T) {
				d := c.condition.Verify(changed(t, made, a.change))
				require.NotEmpty(t, d.Denials)
				var reasons []string
				for _, r := range d.Denials {
					reasons = append(reasons, string(r.Reason))
				}
				assert.Contains(t, reasons, a.reason)
			})
		}
	}
}

func attacksOnFields() map[string]attack {
	all := map[string]attack{}
	for _, some := range []map[string]attack{
		attacksOnPod(), attacksOnVolumes(), attacksOnMounts(), attacksOnMountsOfOthers(), attacksOnInit(), attacksOnIdentity(), attacksOnGroups(),
	} {
		maps.Copy(all, some)
	}
	return all
}

func attacksOnPod() map[string]attack {
	return map[string]attack{
		"the annotation without the label": {"NotInjected", func(pod *corev1.Pod) { delete(pod.Labels, "jupyter-user") }},
		"the label without the annotation": {"NotInjected", func(pod *corev1.Pod) { pod.Annotations = nil }},
		"the label alone": {"NotInjected", plainWith(metav1.ObjectMeta{
			Labels: map[string]string{"jupyter-user": "alice"}})},
		"the hub's labels alone": {"NotInjected", plainWith(metav1.ObjectMeta{
			Labels:      map[string]string{"hub.jupyter.org/username": "alice", "component": "singleuser-server"},
			Annotations: map[string]string{"hub.jupyter.org/username": "alice"}})},
		"an annotation of ours alone": {"NotInjected", plainWith(metav1.ObjectMeta{
			Annotations: map[string]string{"jupyter-user.io/probes": "on"}})},
		"the init container's name alone": {"NotInjected", func(pod *corev1.Pod) {
			plainWith(metav1.ObjectMeta{})(pod)
			pod.Spec.Containers[0].Name = "jupyter-user-init"
		}},
		"opted out afterwards": {"NotInjected", func(pod *corev1.Pod) { pod.Annotations["jupyter-user.io/inject"] = "false" }},
		"no init container":    {"Drifted", func(pod *corev1.Pod) { pod.Spec.InitContainers = nil }},
		"an init container before ours": {"Drifted", func(pod *corev1.Pod) {
			pod.Spec.InitContainers = append([]corev1.Container{{Name: "first", Image: "x"}}, pod.Spec.InitContainers...)
		}},
		"a second init container by our name": {"ContainerTaken", func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "jupyter-user-init", Image: "x"})
		}},
		"a name that no user can have": {"Drifted", func(pod *corev1.Pod) { renameUser(pod, "alice bob") }},
		"the fields of another user":   {"Drifted", func(pod *corev1.Pod) { renameUser(pod, "bob") }},
	}
}

func plainWith(meta metav1.ObjectMeta) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.ObjectMeta = meta
		pod.Spec = corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}}
	}
}

// renameUser changes the user in the annotation, the mounts and the init container's arguments, but not in the label.
func renameUser(pod *corev1.Pod, name string) {
	pod.Annotations["jupyter-user.io/user"] = name
	c, init := &pod.Spec.Containers[0], &pod.Spec.InitContainers[0]
	c.VolumeMounts[0].MountPath, c.VolumeMounts[0].SubPath = "/data/hpc/home/"+name, "home/"+name
	c.VolumeMounts[1].MountPath, c.VolumeMounts[1].SubPath = "/home/"+name, "home/"+name
	init.Args[1], init.Args[4] = "--user="+name, "--home=/home/"+name
}

func changeNotebook(change func(*corev1.Container)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { change(&pod.Spec.Containers[0]) }
}

func changeInit(change func(*corev1.Container)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { change(&pod.Spec.InitContainers[0]) }
}

// addContainer returns a function that adds a container to a Pod. The kind of the container is "init", "ephemeral" or
// "regular".
func addContainer(kind string, c corev1.Container) func(*corev1.Pod) {
	c.Name, c.Image = "beside", "x"
	return func(pod *corev1.Pod) {
		switch kind {
		case "init":
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		case "ephemeral":
			pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers,
				corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
					Name: c.Name, Image: c.Image, SecurityContext: c.SecurityContext, VolumeMounts: c.VolumeMounts,
					VolumeDevices: c.VolumeDevices, Env: c.Env}})
		default:
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
	}
}

// TestConfiguredVolumeNames tests other names of the injected volumes. An admin can configure these names, and Pods that
// are no notebooks can have volumes with the same names.
func TestConfiguredVolumeNames(t *testing.T) {
	t.Parallel()
	named := config.Default()
	named.Share.VolumeName, named.Scratch.VolumeName = "share", "scratch"
	id := identity.New(5003, 6003, nil)
	for _, condition := range []golden.Case{{Config: named, Identity: &id}, {Config: named}} {
		condition = condition.WithSharedWebhook()
		made := admit(t, condition, []byte(bare))
		require.Empty(t, condition.Verify(made).Denials)
		pod := &corev1.Pod{}
		require.NoError(t, json.Unmarshal(made, pod))
		assert.Equal(t, "share", pod.Spec.Volumes[0].Name)
		assert.NotEmpty(t, condition.Verify(changed(t, made, addMount(corev1.VolumeMount{Name: "share", MountPath: "/all"}))).Denials)
		other := plainWith(metav1.ObjectMeta{})
		assert.Empty(t, condition.Verify(changed(t, made, func(pod *corev1.Pod) {
			volumes := pod.Spec.Volumes
			other(pod)
			pod.Spec.Volumes = volumes
		})).Denials, "a Pod that is not claimed may have our volume names; the policies decide about its claims")
	}
}
