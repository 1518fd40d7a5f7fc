package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

const share, scratch = "hpc-shared-volume", "uid-gid-config"

// mounts are an attack by a mount more in the notebook container.
func mounts(m corev1.VolumeMount) func(*testing.T, *guarded) error {
	return carols(func(pod *corev1.Pod) {
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, m)
	})
}

// beside are attacks by another container, which runs before or beside the notebook.
func beside(initContainer bool, c corev1.Container) func(*testing.T, *guarded) error {
	c.Name, c.Image = "beside", "x"
	return carols(func(pod *corev1.Pod) {
		if initContainer {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		} else {
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
	})
}

func inits(change func(*corev1.Container)) func(*testing.T, *guarded) error {
	return carols(func(pod *corev1.Pod) { change(&pod.Spec.InitContainers[0]) })
}

func notebooks(user string, change func(*corev1.Container)) func(*testing.T, *guarded) error {
	return carolsOf(user, func(pod *corev1.Pod) { change(&pod.Spec.Containers[0]) })
}

func mountOf(m corev1.VolumeMount) corev1.Container {
	return corev1.Container{VolumeMounts: []corev1.VolumeMount{m}}
}

func attacksOnContainers() map[string]attack {
	all := map[string]attack{
		"the share whole":      {"injected/MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/all"})},
		"another's home":       {"injected/MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/bob"})},
		"the homes' directory": {"injected/MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home"})},
		"another's home by a way round": {"injected/MountForeign",
			mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/./bob"})},
		"the share by subPathExpr": {"injected/MountForeign",
			mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPathExpr: "home/$(NB_USER)"})},
		"the scratch volume writable in the notebook": {"injected/MountForeign", mounts(corev1.VolumeMount{Name: scratch, MountPath: "/c"})},
		"the scratch volume by subPathExpr": {"injected/MountForeign", notebooks("alice", func(c *corev1.Container) {
			c.VolumeMounts[2].SubPathExpr = "$(NB_USER)"
		})},
		"the home, spread to the node": {"injected/MountForeign", notebooks("alice", func(c *corev1.Container) {
			c.VolumeMounts[0].MountPropagation = new(corev1.MountPropagationHostToContainer)
		})},
		"something else over our program": {"injected/MountForeign", carols(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/config/jupyter-user-init"})
		})},
		"something else over our program by a way round": {"injected/MountForeign", carols(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/x/../config/jupyter-user-init"})
		})},
		"the home's place is something else's": {"injected/MountMissing", notebooks("alice", func(c *corev1.Container) {
			c.VolumeMounts = c.VolumeMounts[1:]
		})},
		"a sidecar mounts the share":          {"injected/MountBeside", beside(false, mountOf(corev1.VolumeMount{Name: share, MountPath: "/s"}))},
		"a sidecar mounts the very home":      {"injected/MountBeside", beside(false, mountOf(corev1.VolumeMount{Name: share, MountPath: "/s", SubPath: "home/alice"}))},
		"a sidecar mounts the scratch volume": {"injected/MountBeside", beside(false, mountOf(corev1.VolumeMount{Name: scratch, MountPath: "/c"}))},
		"an init container mounts the share":  {"injected/MountBeside", beside(true, mountOf(corev1.VolumeMount{Name: share, MountPath: "/s"}))},
		"the share as a block device": {"injected/MountBeside", beside(false, corev1.Container{
			VolumeDevices: []corev1.VolumeDevice{{Name: share, DevicePath: "/dev/x"}}})},
		"an init container before ours": {"injected/ContainerTaken", carols(func(pod *corev1.Pod) {
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
	const foreign, mounted, privileged = "injected/InitForeign", "injected/InitMounts", "injected/InitPrivileges"
	return map[string]attack{
		"the init container with another image":   {foreign, inits(func(c *corev1.Container) { c.Image = "evil" })},
		"the init container with another command": {foreign, inits(func(c *corev1.Container) { c.Command = []string{"sh"} })},
		"the init container for another user":     {foreign, inits(func(c *corev1.Container) { c.Args[1] = "--user=bob" })},
		"the init container with another number":  {foreign, inits(func(c *corev1.Container) { c.Args[7] = "--uid=5002" })},
		"the init container told twice":           {foreign, inits(func(c *corev1.Container) { c.Args = append(c.Args, "--user=bob") })},
		"the init container with a variable": {foreign, inits(func(c *corev1.Container) {
			c.Env = []corev1.EnvVar{{Name: "LD_PRELOAD", Value: "x"}}
		})},
		"the init container as a sidecar": {foreign, inits(func(c *corev1.Container) {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		})},
		"the init container sees the whole share": {mounted, inits(func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "" })},
		"the init container writes to the share":  {mounted, inits(func(c *corev1.Container) { c.VolumeMounts[0].ReadOnly = false })},
		"the init container sees homes of one's own making": {mounted, carols(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			pod.Spec.InitContainers[0].VolumeMounts = append(pod.Spec.InitContainers[0].VolumeMounts,
				corev1.VolumeMount{Name: "mine", MountPath: "/data/hpc/home/alice"})
		})},
		"the init container runs as somebody": {privileged, inits(func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(5002)) })},
		"the init container runs as root": {privileged, inits(func(c *corev1.Container) {
			c.SecurityContext.RunAsUser, c.SecurityContext.RunAsNonRoot = new(int64(0)), new(false)
		})},
	}
}

func attacksOnIdentity() map[string]attack {
	const rule = "injected/IdentityForeign"
	return map[string]attack{
		"another UID": {rule, notebooks("alice", func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(5002)) })},
		"another GID": {rule, notebooks("alice", func(c *corev1.Container) { c.SecurityContext.RunAsGroup = new(int64(6002)) })},
		"no UID":      {rule, notebooks("alice", func(c *corev1.Container) { c.SecurityContext.RunAsUser = nil })},
		"a capability": {rule, notebooks("alice", func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"CHOWN"}
		})},
		"more than two capabilities at start": {rule, notebooks("qiang.guo03", func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"SETUID", "SETGID", "DAC_OVERRIDE"}
		})},
		"another command, as root, at start": {rule, notebooks("qiang.guo03", func(c *corev1.Container) {
			c.Command = []string{"sh", "-c", "id"}
		})},
		"our program for somebody else, at start": {rule, notebooks("qiang.guo03", func(c *corev1.Container) {
			c.Command[2] = "--user=alice"
		})},
		"a sidecar of another UID beside more of the share than the home": {"injected/SidecarForeign", besideMore(
			func(pod *corev1.Pod) {
				pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x",
					SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(5002))}})
			})},
		"likewise as the image's own user": {"injected/SidecarForeign", besideMore(func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x"})
		})},
		"no way at all": {rule, carols(func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/way"] = "None"
			pod.Spec.SecurityContext.SupplementalGroups = nil
			// Where no way is known, the init container is nobody in particular.
			init := pod.Spec.InitContainers[0].SecurityContext
			init.RunAsUser, init.RunAsGroup = new(int64(65532)), new(int64(65532))
		})},
	}
}

// inNobodysName is a pod whose every piece is for a name that the webhook never takes.
func inNobodysName(name string) func(*testing.T, *guarded) error {
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

// besideMore is a pod where notebooks see further directories of the share.
func besideMore(change func(*corev1.Pod)) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		g.parameters(t, `{"metadata": {"annotations": {"readOnly": "datasets:/data/hpc/datasets"}}}`, `{"metadata": {"annotations": {"readOnly": ""}}}`)
		return carols(change)(t, g)
	}
}
