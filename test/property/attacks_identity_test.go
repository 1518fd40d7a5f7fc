package property

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

func attacksOnInit() map[string]attack {
	all := map[string]attack{}
	for name, change := range map[string]func(*corev1.Container){
		"another image":         func(c *corev1.Container) { c.Image = "evil" },
		"another command":       func(c *corev1.Container) { c.Command = []string{"sh"} },
		"another user":          func(c *corev1.Container) { c.Args[1] = "--user=bob" },
		"another UID argument":  func(c *corev1.Container) { c.Args[7] = "--uid=5002" },
		"a second user":         func(c *corev1.Container) { c.Args = append(c.Args, "--user=bob") },
		"a variable":            func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "LD_PRELOAD", Value: "x"}} },
		"variables of a source": func(c *corev1.Container) { c.EnvFrom = []corev1.EnvFromSource{{Prefix: "LD_"}} },
		"another directory":     func(c *corev1.Container) { c.WorkingDir = "/tmp" },
		"a hook":                func(c *corev1.Container) { c.Lifecycle = &corev1.Lifecycle{} },
		"a sidecar":             func(c *corev1.Container) { c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways) },
		"restart policy rules":  func(c *corev1.Container) { c.RestartPolicyRules = []corev1.ContainerRestartRule{{}} },
		"a block device":        func(c *corev1.Container) { c.VolumeDevices = []corev1.VolumeDevice{{Name: share}} },
		"the whole share":       func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "" },
		"the share by an expr":  func(c *corev1.Container) { c.VolumeMounts[0].SubPathExpr = "home" },
		"the share writable":    func(c *corev1.Container) { c.VolumeMounts[0].ReadOnly = false },
		"mount propagation": func(c *corev1.Container) {
			c.VolumeMounts[0].MountPropagation = new(corev1.MountPropagationBidirectional)
		},
		"a mount twice and another missing": func(c *corev1.Container) {
			c.VolumeMounts[2] = c.VolumeMounts[0]
			c.VolumeMounts[2].MountPath += "/"
		},
		"a missing mount":      func(c *corev1.Container) { c.VolumeMounts = c.VolumeMounts[:2] },
		"another UID":          func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(5002)) },
		"another GID":          func(c *corev1.Container) { c.SecurityContext.RunAsGroup = new(int64(6002)) },
		"no UID":               func(c *corev1.Container) { c.SecurityContext.RunAsUser = nil },
		"no security context":  func(c *corev1.Container) { c.SecurityContext = nil },
		"privilege escalation": func(c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = new(true) },
		"unset escalation":     func(c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = nil },
		"privileges":           func(c *corev1.Container) { c.SecurityContext.Privileged = new(true) },
		"capabilities kept":    func(c *corev1.Container) { c.SecurityContext.Capabilities.Drop = nil },
		"a capability added":   func(c *corev1.Container) { c.SecurityContext.Capabilities.Add = []corev1.Capability{"CHOWN"} },
		"root": func(c *corev1.Container) {
			c.SecurityContext.RunAsUser, c.SecurityContext.RunAsNonRoot = new(int64(0)), new(false)
		},
		"a mount over the home": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/data/hpc/home/alice"})
		},
		"a mount over its program": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/jupyter-user-init"})
		},
		"a mount with two dots below the secrets": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/../../../x"})
		},
		"a mount over the token": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/kubernetes.io/x/.."})
		},
	} {
		all["the init container with "+name] = attack{"Drifted", changeInit(change)}
	}
	return all
}

func attacksOnIdentity() map[string]attack {
	all := map[string]attack{
		"an unknown discovery": {"Drifted", func(pod *corev1.Pod) { pod.Annotations["jupyter-user.io/discovery"] = "None" }},
		"another discovery":    {"Drifted", func(pod *corev1.Pod) { pod.Annotations["jupyter-user.io/discovery"] = "AtStart" }},
		"another identity":     {"IdentityDiffers", func(pod *corev1.Pod) { pod.Annotations["jupyter-user.io/identity"] = "5002:6002" }},
		"no identity":          {"IdentityDiffers", func(pod *corev1.Pod) { delete(pod.Annotations, "jupyter-user.io/identity") }},
	}
	for name, change := range map[string]func(*corev1.SecurityContext){
		"another UID":          func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(5002)) },
		"another GID":          func(s *corev1.SecurityContext) { s.RunAsGroup = new(int64(6002)) },
		"no UID":               func(s *corev1.SecurityContext) { s.RunAsUser = nil },
		"no GID":               func(s *corev1.SecurityContext) { s.RunAsGroup = nil },
		"a capability":         func(s *corev1.SecurityContext) { s.Capabilities.Add = []corev1.Capability{"CHOWN"} },
		"capabilities kept":    func(s *corev1.SecurityContext) { s.Capabilities.Drop = nil },
		"privileges":           func(s *corev1.SecurityContext) { s.Privileged = new(true) },
		"privilege escalation": func(s *corev1.SecurityContext) { s.AllowPrivilegeEscalation = nil },
		"the real /proc":       func(s *corev1.SecurityContext) { s.ProcMount = new(corev1.UnmaskedProcMount) },
	} {
		all["the notebook with "+name] = attack{"Drifted", changeNotebook(func(c *corev1.Container) { change(c.SecurityContext) })}
	}
	return all
}

// attacksByFSGroup returns one attack for each of these groups, with the group as the fsGroup.
func attacksByFSGroup(reason string, groups ...int64) map[string]attack {
	all := map[string]attack{}
	for _, gid := range groups {
		all[fmt.Sprintf("group %d", gid)] = attack{reason, func(pod *corev1.Pod) { pod.Spec.SecurityContext.FSGroup = &gid }}
	}
	return all
}

func attacksOnGroups() map[string]attack {
	groups := func(change func(*corev1.PodSecurityContext)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { change(pod.Spec.SecurityContext) }
	}
	return map[string]attack{
		"groups smuggled in by supplementalGroups": {"GroupForeign", groups(func(s *corev1.PodSecurityContext) {
			s.SupplementalGroups = []int64{7001, 6002}
		})},
		"a group smuggled in by fsGroup":        {"Drifted", groups(func(s *corev1.PodSecurityContext) { s.FSGroup = new(int64(6002)) })},
		"the root group smuggled in by fsGroup": {"Drifted", groups(func(s *corev1.PodSecurityContext) { s.FSGroup = new(int64(0)) })},
		"the image's /etc/group adds groups": {"Drifted", groups(func(s *corev1.PodSecurityContext) {
			s.SupplementalGroupsPolicy = new(corev1.SupplementalGroupsPolicyMerge)
		})},
		"no policy about the image's /etc/group": {"Drifted", groups(func(s *corev1.PodSecurityContext) { s.SupplementalGroupsPolicy = nil })},
		"no groups":                              {"Drifted", groups(func(s *corev1.PodSecurityContext) { s.SupplementalGroups = nil })},
	}
}

func attacksAtStart() map[string]attack {
	return map[string]attack{
		"groups smuggled in": {"GroupForeign", func(pod *corev1.Pod) { pod.Spec.SecurityContext.SupplementalGroups = []int64{7001} }},
		"more than two capabilities": {"Drifted", changeNotebook(func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"SETUID", "SETGID", "DAC_OVERRIDE"}
		})},
		"another command, as root":     {"Drifted", changeNotebook(func(c *corev1.Container) { c.Command = []string{"sh", "-c", "id"} })},
		"our program for another user": {"Drifted", changeNotebook(func(c *corev1.Container) { c.Command[2] = "--user=bob" })},
		"our program from elsewhere":   {"Drifted", changeNotebook(func(c *corev1.Container) { c.Command[0] = "/home/alice/jupyter-user-init" })},
		"a probe that runs as root": {"Drifted", changeNotebook(func(c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"sh"}}}}
		})},
		"the init container as another user": {"Drifted", changeInit(func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(5002)) })},
		"something over /proc":               {"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: "/proc"})},
		"something over /proc/":              {"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: "/x/../proc/"})},
		"something in /proc":                 {"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: "/proc/self"})},
		"something over /dev":                {"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: "/dev"})},
		"something over /dev/fd":             {"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: "/dev/fd"})},
		"something over /dev/stdin":          {"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: "/dev/stdin"})},
		"something over all":                 {"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: "/"})},
		"a message over /dev/stdout": {"MountNested", changeNotebook(func(c *corev1.Container) {
			c.TerminationMessagePath = "/dev/stdout"
		})},
	}
}
