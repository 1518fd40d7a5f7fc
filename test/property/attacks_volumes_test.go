package property

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func attacksOnVolumes() map[string]attack {
	claim := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	return map[string]attack{
		"a second volume of the share's claim": {"ShareAgain", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "again", VolumeSource: claim("hpc-shared-pvc")})
		}},
		"the share's volume is another claim": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "look-alike"
		}},
		"the share's volume is read-only": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[0].PersistentVolumeClaim.ReadOnly = true
		}},
		"the share's volume is a directory of the node": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		}},
		"the share's volume is a CSI volume": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "x"}}
		}},
		"the scratch volume is a claim": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[1].VolumeSource = claim("prepared")
		}},
		"the scratch volume is a ConfigMap": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}
		}},
		"no share":   {"Drifted", func(pod *corev1.Pod) { pod.Spec.Volumes = pod.Spec.Volumes[1:] }},
		"no scratch": {"Drifted", func(pod *corev1.Pod) { pod.Spec.Volumes = pod.Spec.Volumes[:1] }},
	}
}

// addMount returns a function that adds a mount to the notebook container.
func addMount(m corev1.VolumeMount) func(*corev1.Pod) {
	return changeNotebook(func(c *corev1.Container) { c.VolumeMounts = append(c.VolumeMounts, m) })
}

func attacksOnMounts() map[string]attack {
	return map[string]attack{
		"the whole share":                      {"MountForeign", addMount(corev1.VolumeMount{Name: share, MountPath: "/all"})},
		"another user's home":                  {"MountForeign", addMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/bob"})},
		"the homes' directory":                 {"MountForeign", addMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home"})},
		"another user's home by a longer path": {"MountForeign", addMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/./bob"})},
		"the share by subPathExpr":             {"MountForeign", addMount(corev1.VolumeMount{Name: share, MountPath: "/b", SubPathExpr: "home/$(NB_USER)"})},
		"the home by subPathExpr": {"MountForeign", changeNotebook(func(c *corev1.Container) {
			c.VolumeMounts[0].SubPath, c.VolumeMounts[0].SubPathExpr = "", "home/$(NB_USER)"
		})},
		"the scratch volume writable in the notebook": {"MountForeign", addMount(corev1.VolumeMount{Name: scratch, MountPath: "/c"})},
		"the scratch volume made writable":            {"MountForeign", changeNotebook(func(c *corev1.Container) { c.VolumeMounts[2].ReadOnly = false })},
		"the scratch volume by subPathExpr": {"MountForeign", changeNotebook(func(c *corev1.Container) {
			c.VolumeMounts[2].SubPathExpr = "$(NB_USER)"
		})},
		"the home with mount propagation": {"MountForeign", changeNotebook(func(c *corev1.Container) {
			c.VolumeMounts[0].MountPropagation = new(corev1.MountPropagationHostToContainer)
		})},
		"the home at another path": {"MountForeign", changeNotebook(func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/elsewhere" })},
		"a mount over our program": {"MountTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			addMount(corev1.VolumeMount{Name: "mine", MountPath: "/config/jupyter-user-init"})(pod)
		}},
		"a mount over our program by a longer path": {"MountTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			addMount(corev1.VolumeMount{Name: "mine", MountPath: "/x/../config/jupyter-user-init"})(pod)
		}},
		"no home": {"Drifted", changeNotebook(func(c *corev1.Container) { c.VolumeMounts = c.VolumeMounts[1:] })},
		"no scratch volume in the notebook": {"Drifted", changeNotebook(func(c *corev1.Container) {
			c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/config" })
		})},
		"another container is the notebook": {"MountForeign", func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x"})
			pod.Annotations["jupyter-user.io/container"] = "side"
		}},
		"no container is the notebook": {"NoSuchContainer", func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/container"] = "none"
		}},
	}
}

func attacksOnMountsOfOthers() map[string]attack {
	fileKey := func(volume string) []corev1.EnvVar {
		return []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
			FileKeyRef: &corev1.FileKeySelector{VolumeName: volume, Path: "passwd", Key: "a"}}}}
	}
	all := map[string]attack{
		"the notebook reads a variable from the scratch volume": {"EnvForeign", changeNotebook(func(c *corev1.Container) {
			c.Env = append(c.Env, fileKey(scratch)...)
		})},
	}
	for _, kind := range []string{"init", "regular", "ephemeral"} {
		for name, m := range map[string]corev1.VolumeMount{
			"the share":          {Name: share, MountPath: "/s"},
			"the home":           {Name: share, MountPath: "/s", SubPath: "home/alice"},
			"the scratch volume": {Name: scratch, MountPath: "/c"},
		} {
			all[kind+" mounts "+name] = attack{"MountForeign", addContainer(kind, corev1.Container{VolumeMounts: []corev1.VolumeMount{m}})}
		}
		for _, volume := range []string{share, scratch} {
			all[kind+" has a block device of "+volume] = attack{"DeviceForeign", addContainer(kind, corev1.Container{
				VolumeDevices: []corev1.VolumeDevice{{Name: volume, DevicePath: "/dev/x"}}})}
			all[kind+" reads a variable out of "+volume] = attack{"EnvForeign", addContainer(kind, corev1.Container{Env: fileKey(volume)})}
		}
	}
	return all
}
