package integration

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const share, scratch = "hpc-shared-volume", "uid-gid-config"

// withMount returns an attack: carol creates alice's notebook with one more mount in the notebook container.
func withMount(m corev1.VolumeMount) func(*testing.T, *guarded) error {
	return byCarol(func(pod *corev1.Pod) {
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, m)
	})
}

// withContainer returns an attack: carol creates alice's notebook with one more container or init container.
func withContainer(initContainer bool, c corev1.Container) func(*testing.T, *guarded) error {
	c.Name, c.Image = "beside", "x"
	return byCarol(func(pod *corev1.Pod) {
		if initContainer {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		} else {
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
	})
}

func changeInit(change func(*corev1.Container)) func(*testing.T, *guarded) error {
	return byCarol(func(pod *corev1.Pod) { change(&pod.Spec.InitContainers[0]) })
}

func changeNotebook(user string, change func(*corev1.Container)) func(*testing.T, *guarded) error {
	return byCarolFor(user, func(pod *corev1.Pod) { change(&pod.Spec.Containers[0]) })
}

func containerWithMount(m corev1.VolumeMount) corev1.Container {
	return corev1.Container{VolumeMounts: []corev1.VolumeMount{m}}
}

func attacksOnContainers() map[string]attack {
	all := map[string]attack{
		"the whole share":      {"net/MountForeign", withMount(corev1.VolumeMount{Name: share, MountPath: "/all"})},
		"another user's home":  {"net/MountForeign", withMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/bob"})},
		"the homes' directory": {"net/MountForeign", withMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home"})},
		"another user's home by a longer path": {"net/MountForeign",
			withMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/./bob"})},
		"the share by subPathExpr": {"net/MountForeign",
			withMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPathExpr: "home/$(NB_USER)"})},
		"the scratch volume writable in the notebook": {"verifier/MountForeign", withMount(corev1.VolumeMount{Name: scratch, MountPath: "/c"})},
		"the scratch volume by subPathExpr": {"verifier/MountForeign", changeNotebook("alice", func(c *corev1.Container) {
			c.VolumeMounts[2].SubPathExpr = "$(NB_USER)"
		})},
		"the home with mount propagation": {"verifier/MountForeign", changeNotebook("alice", func(c *corev1.Container) {
			c.VolumeMounts[0].MountPropagation = new(corev1.MountPropagationHostToContainer)
		})},
		"a mount over our program": {"verifier/MountForeign", byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/config/jupyter-user-init"})
		})},
		"a mount over our program by a longer path": {"verifier/MountForeign", byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/x/../config/jupyter-user-init"})
		})},
		"no mount of the home": {"verifier/MountMissing", changeNotebook("alice", func(c *corev1.Container) {
			c.VolumeMounts = c.VolumeMounts[1:]
		})},
		"a sidecar mounts the share":          {"net/MountForeign", withContainer(false, containerWithMount(corev1.VolumeMount{Name: share, MountPath: "/s"}))},
		"a sidecar mounts the home":           {"verifier/MountBeside", withContainer(false, containerWithMount(corev1.VolumeMount{Name: share, MountPath: "/s", SubPath: "home/alice"}))},
		"a sidecar mounts the scratch volume": {"verifier/MountBeside", withContainer(false, containerWithMount(corev1.VolumeMount{Name: scratch, MountPath: "/c"}))},
		"an init container mounts the share":  {"net/MountForeign", withContainer(true, containerWithMount(corev1.VolumeMount{Name: share, MountPath: "/s"}))},
		"the share as a block device": {"net/DeviceForeign", withContainer(false, corev1.Container{
			VolumeDevices: []corev1.VolumeDevice{{Name: share, DevicePath: "/dev/x"}}})},
		"the home with two slashes": {"net/MountForeign", withMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home//alice"})},
		"a second volume of the claim": {"net/MountForeign", byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, claimVolume("again"))
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "again", MountPath: "/all"})
		})},
		"a container with the init container's name": {"net/MountForeign", byCarol(func(pod *corev1.Pod) {
			first := pod.Spec.InitContainers[0]
			pod.Spec.InitContainers = nil
			pod.Spec.Containers = append(pod.Spec.Containers, first)
		})},
		"more mounts than the policy reads": {"net/NotebookTooLarge", changeNotebook("alice", func(c *corev1.Container) {
			for i := range 2000 {
				c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: scratch, MountPath: fmt.Sprintf("/m/%d", i), ReadOnly: true})
			}
		})},
		"an init container before ours": {"net/InitForeign", byCarol(func(pod *corev1.Pod) {
			pod.Spec.InitContainers = append([]corev1.Container{{Name: "first", Image: "x"}}, pod.Spec.InitContainers...)
		})},
	}
	for name, a := range attacksOnInit() {
		all[name] = a
	}
	for name, a := range attacksOnIdentity() {
		all[name] = a
	}
	return all
}

func attacksOnInit() map[string]attack {
	const net, foreign, privileged = "net/InitForeign", "verifier/InitForeign", "verifier/InitPrivileges"
	return map[string]attack{
		"the init container with another image":   {net, changeInit(func(c *corev1.Container) { c.Image = "evil" })},
		"the init container with another command": {net, changeInit(func(c *corev1.Container) { c.Command = []string{"sh"} })},
		"the init container for another user":     {foreign, changeInit(func(c *corev1.Container) { c.Args[1] = "--user=bob" })},
		"the init container with another UID":     {foreign, changeInit(func(c *corev1.Container) { c.Args[7] = "--uid=5002" })},
		"the init container with a second user":   {foreign, changeInit(func(c *corev1.Container) { c.Args = append(c.Args, "--user=bob") })},
		"the init container with a variable": {net, changeInit(func(c *corev1.Container) {
			c.Env = []corev1.EnvVar{{Name: "LD_PRELOAD", Value: "x"}}
		})},
		"the init container as a sidecar": {net, changeInit(func(c *corev1.Container) {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		})},
		"the init container runs a program of the share": {net, changeInit(func(c *corev1.Container) {
			c.Args = []string{"exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--", "/data/hpc/home/alice/mine"}
		})},
		"the init container with a mount over our program": {net, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.InitContainers[0].VolumeMounts = append(pod.Spec.InitContainers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/jupyter-user-init"})
		})},
		"the init container with a mount inside another webhook's": {net, byCarol(func(pod *corev1.Pod) {
			// If the volume had a symbolic link b to /, the second mount would cover our program.
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.InitContainers[0].VolumeMounts = append(pod.Spec.InitContainers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/a"},
				corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/a/b/jupyter-user-init", SubPath: "program"})
		})},
		"the init container with a mount inside another webhook's, by a longer path": {net, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.InitContainers[0].VolumeMounts = append(pod.Spec.InitContainers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/./a"},
				corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets//a/b/jupyter-user-init", SubPath: "program"})
		})},
		"the init container with a block device": {net, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "mine"}}})
			pod.Spec.InitContainers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "mine", DevicePath: "/jupyter-user-init"}}
		})},
		"the init container with a capability": {net, changeInit(func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"CHOWN"}
		})},
		"the init container with variables of a ConfigMap": {net, changeInit(func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "mine"}}}}
		})},
		"the init container by subPathExpr": {net, changeInit(func(c *corev1.Container) {
			c.VolumeMounts[0].SubPath, c.VolumeMounts[0].SubPathExpr = "", "home"
		})},
		"the init container sees the whole share": {net, changeInit(func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "" })},
		"the init container writes to the share":  {net, changeInit(func(c *corev1.Container) { c.VolumeMounts[0].ReadOnly = false })},
		"the init container with a mount over the home": {net, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.InitContainers[0].VolumeMounts = append(pod.Spec.InitContainers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/data/hpc/home/alice"})
		})},
		"the init container runs as a user": {privileged, changeInit(func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(5002)) })},
		"the init container runs as root": {net, changeInit(func(c *corev1.Container) {
			c.SecurityContext.RunAsUser, c.SecurityContext.RunAsNonRoot = new(int64(0)), new(false)
		})},
	}
}

func attacksOnIdentity() map[string]attack {
	const rule = "verifier/IdentityForeign"
	return map[string]attack{
		"another UID": {rule, changeNotebook("alice", func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(5002)) })},
		"another GID": {rule, changeNotebook("alice", func(c *corev1.Container) { c.SecurityContext.RunAsGroup = new(int64(6002)) })},
		"no UID":      {rule, changeNotebook("alice", func(c *corev1.Container) { c.SecurityContext.RunAsUser = nil })},
		"a capability": {rule, changeNotebook("alice", func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"CHOWN"}
		})},
		"more than two capabilities at start": {rule, changeNotebook("qiang.guo03", func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"SETUID", "SETGID", "DAC_OVERRIDE"}
		})},
		"another command, as root, at start": {rule, changeNotebook("qiang.guo03", func(c *corev1.Container) {
			c.Command = []string{"sh", "-c", "id"}
		})},
		"our program for another user, at start": {rule, changeNotebook("qiang.guo03", func(c *corev1.Container) {
			c.Command[2] = "--user=alice"
		})},
		"a sidecar of another UID, with further directories": {"verifier/SidecarForeign", withMoreDirectories(
			func(pod *corev1.Pod) {
				pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x",
					SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(5002))}})
			})},
		"a sidecar without a UID, with further directories": {"verifier/SidecarForeign", withMoreDirectories(func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x"})
		})},
		"an unknown discovery": {rule, byCarol(func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/discovery"] = "None"
			pod.Spec.SecurityContext.SupplementalGroups = nil
			// If the identity is not known at admission, the init container runs with this UID and GID.
			init := pod.Spec.InitContainers[0].SecurityContext
			init.RunAsUser, init.RunAsGroup = new(int64(65532)), new(int64(65532))
		})},
	}
}

// underWrongName returns an attack: the hub creates a notebook whose annotation, mounts and init container have a name that
// no user can have.
func underWrongName(name string) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := injected(t, "alice")
		pod.Annotations["jupyter-user.io/user"] = name
		c, init := &pod.Spec.Containers[0], &pod.Spec.InitContainers[0]
		c.VolumeMounts[0].MountPath, c.VolumeMounts[0].SubPath = "/data/hpc/home/"+name, "home/"+name
		c.VolumeMounts[1].MountPath, c.VolumeMounts[1].SubPath = "/home/"+name, "home/"+name
		init.Args[1], init.Args[4] = "--user="+name, "--home=/home/"+name
		return create(t.Context(), g.hub, "lab", pod)
	}
}

// withMoreDirectories returns an attack on a webhook whose notebooks mount a directory of the share besides the home.
func withMoreDirectories(change func(*corev1.Pod)) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		g.reconfigure(t, func(c *config.Config) {
			c.Share.Directories = []config.Directory{{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly}}
		})
		pod := injectedBy(t, g.configured, "alice", unchanged)
		change(pod)
		return create(t.Context(), g.carol, "lab", pod)
	}
}
