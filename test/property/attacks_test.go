package property

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// attack is a notebook as the webhook makes it, changed by somebody who wants more than the home.
type attack struct {
	// reason of the denial.
	reason string
	change func(*corev1.Pod)
}

const share, scratch = "hpc-shared-volume", "uid-gid-config"

// TestTheVerifierAloneDeniesEveryLookAlike: no policy says anything about the shape of a notebook.
func TestTheVerifierAloneDeniesEveryLookAlike(t *testing.T) {
	t.Parallel()
	id := identity.New(5003, 6003, []int64{7001})
	atAdmission := golden.Case{Config: config.Default(), Identity: &id}.Fixed()
	atStart := golden.Case{Config: config.Default()}.Fixed()
	more := config.Default()
	more.Share.Directories = []config.Directory{{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly}}
	whole := config.Default()
	whole.Share.ExposeEveryHome = config.ExposeToTheUser
	keeps := config.Default()
	keeps.Share.FSGroup = config.FSGroupKeep
	for name, c := range map[string]struct {
		discovery golden.Case
		attacks   map[string]attack
	}{
		"where an fsGroup stays":           {golden.Case{Config: keeps, Identity: &id}.Fixed(), attacksByFSGroup("GroupForeign", 0, 50, 6002)},
		"where an fsGroup stays, at start": {golden.Case{Config: keeps}.Fixed(), attacksByFSGroup("Drifted", 0, 6003, 7001)},
		"at admission":                     {atAdmission, attacksOnPieces()},
		"at start":                         {atStart, attacksAtStart()},
		"beside directories":               {golden.Case{Config: more, Identity: &id}.Fixed(), attacksBeside()},
		"beside every home":                {golden.Case{Config: whole, Identity: &id}.Fixed(), attacksBeside()},
		"inside another home":              {golden.Case{Config: whole, Identity: &id}.Fixed(), attacksInAnotherHome()},
	} {
		made := admit(t, c.discovery, []byte(bare))
		require.Empty(t, c.discovery.Verify(made).Denials)
		for does, a := range c.attacks {
			t.Run(name+"/"+does, func(t *testing.T) {
				d := c.discovery.Verify(changed(t, made, a.change))
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

func attacksOnPieces() map[string]attack {
	all := map[string]attack{}
	for _, some := range []map[string]attack{
		attacksOnWhole(), attacksOnVolumes(), attacksOnMounts(), attacksOnOthersMounts(), attacksOnInit(), attacksOnIdentity(), attacksOnGroups(),
	} {
		maps.Copy(all, some)
	}
	return all
}

func attacksOnWhole() map[string]attack {
	return map[string]attack{
		"the annotation without the label": {"NotInjected", func(pod *corev1.Pod) { delete(pod.Labels, "jupyter-user") }},
		"the label without the annotation": {"NotInjected", func(pod *corev1.Pod) { pod.Annotations = nil }},
		"the label without anything": {"NotInjected", plainWith(metav1.ObjectMeta{
			Labels: map[string]string{"jupyter-user": "alice"}})},
		"a hub's server without anything": {"NotInjected", plainWith(metav1.ObjectMeta{
			Labels:      map[string]string{"hub.jupyter.org/username": "alice", "component": "singleuser-server"},
			Annotations: map[string]string{"hub.jupyter.org/username": "alice"}})},
		"an annotation of ours without anything": {"NotInjected", plainWith(metav1.ObjectMeta{
			Annotations: map[string]string{"jupyter-user.io/probes": "on"}})},
		"the init container's name without anything": {"NotInjected", func(pod *corev1.Pod) {
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
		"a name that leads out of the homes": {"Drifted", func(pod *corev1.Pod) { renamed(pod, "alice bob") }},
		"every piece for somebody else":      {"Drifted", func(pod *corev1.Pod) { renamed(pod, "bob") }},
	}
}

func plainWith(meta metav1.ObjectMeta) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.ObjectMeta = meta
		pod.Spec = corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}}
	}
}

// renamed is a Pod whose every piece, but for the label, is for another name.
func renamed(pod *corev1.Pod, name string) {
	pod.Annotations["jupyter-user.io/user"] = name
	c, init := &pod.Spec.Containers[0], &pod.Spec.InitContainers[0]
	c.VolumeMounts[0].MountPath, c.VolumeMounts[0].SubPath = "/data/hpc/home/"+name, "home/"+name
	c.VolumeMounts[1].MountPath, c.VolumeMounts[1].SubPath = "/home/"+name, "home/"+name
	init.Args[1], init.Args[4] = "--user="+name, "--home=/home/"+name
}

func attacksOnVolumes() map[string]attack {
	claim := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	return map[string]attack{
		"our volume under another name": {"ShareAgain", func(pod *corev1.Pod) {
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
		"the share's volume is a driver's": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "x"}}
		}},
		"the scratch volume is a claim of one's own": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[1].VolumeSource = claim("prepared")
		}},
		"the scratch volume is a ConfigMap": {"VolumeTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}
		}},
		"no share":   {"Drifted", func(pod *corev1.Pod) { pod.Spec.Volumes = pod.Spec.Volumes[1:] }},
		"no scratch": {"Drifted", func(pod *corev1.Pod) { pod.Spec.Volumes = pod.Spec.Volumes[:1] }},
	}
}

// mounts is a mount more in the notebook container.
func mounts(m corev1.VolumeMount) func(*corev1.Pod) {
	return notebooks(func(c *corev1.Container) { c.VolumeMounts = append(c.VolumeMounts, m) })
}

func notebooks(change func(*corev1.Container)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { change(&pod.Spec.Containers[0]) }
}

func inits(change func(*corev1.Container)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { change(&pod.Spec.InitContainers[0]) }
}

func attacksOnMounts() map[string]attack {
	return map[string]attack{
		"the share whole":               {"MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/all"})},
		"another's home":                {"MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/bob"})},
		"the homes' directory":          {"MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home"})},
		"another's home by a way round": {"MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPath: "home/./bob"})},
		"the share by subPathExpr":      {"MountForeign", mounts(corev1.VolumeMount{Name: share, MountPath: "/b", SubPathExpr: "home/$(NB_USER)"})},
		"the home by subPathExpr": {"MountForeign", notebooks(func(c *corev1.Container) {
			c.VolumeMounts[0].SubPath, c.VolumeMounts[0].SubPathExpr = "", "home/$(NB_USER)"
		})},
		"the scratch volume writable in the notebook": {"MountForeign", mounts(corev1.VolumeMount{Name: scratch, MountPath: "/c"})},
		"the scratch volume made writable":            {"MountForeign", notebooks(func(c *corev1.Container) { c.VolumeMounts[2].ReadOnly = false })},
		"the scratch volume by subPathExpr": {"MountForeign", notebooks(func(c *corev1.Container) {
			c.VolumeMounts[2].SubPathExpr = "$(NB_USER)"
		})},
		"the home, spread to the node": {"MountForeign", notebooks(func(c *corev1.Container) {
			c.VolumeMounts[0].MountPropagation = new(corev1.MountPropagationHostToContainer)
		})},
		"the home elsewhere": {"MountForeign", notebooks(func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/elsewhere" })},
		"something else over our program": {"MountTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			mounts(corev1.VolumeMount{Name: "mine", MountPath: "/config/jupyter-user-init"})(pod)
		}},
		"something else over our program by a way round": {"MountTaken", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine"})
			mounts(corev1.VolumeMount{Name: "mine", MountPath: "/x/../config/jupyter-user-init"})(pod)
		}},
		"no home": {"Drifted", notebooks(func(c *corev1.Container) { c.VolumeMounts = c.VolumeMounts[1:] })},
		"no scratch volume in the notebook": {"Drifted", notebooks(func(c *corev1.Container) {
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

// beside is another container, which runs before the notebook, beside it, or is there to look into it.
func beside(kind string, c corev1.Container) func(*corev1.Pod) {
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

func attacksOnOthersMounts() map[string]attack {
	fileKey := func(volume string) []corev1.EnvVar {
		return []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
			FileKeyRef: &corev1.FileKeySelector{VolumeName: volume, Path: "passwd", Key: "a"}}}}
	}
	all := map[string]attack{
		"the notebook reads a variable out of the scratch volume": {"EnvForeign", notebooks(func(c *corev1.Container) {
			c.Env = append(c.Env, fileKey(scratch)...)
		})},
	}
	for _, kind := range []string{"init", "regular", "ephemeral"} {
		for name, m := range map[string]corev1.VolumeMount{
			"the share":          {Name: share, MountPath: "/s"},
			"the very home":      {Name: share, MountPath: "/s", SubPath: "home/alice"},
			"the scratch volume": {Name: scratch, MountPath: "/c"},
		} {
			all[kind+" mounts "+name] = attack{"MountForeign", beside(kind, corev1.Container{VolumeMounts: []corev1.VolumeMount{m}})}
		}
		for _, volume := range []string{share, scratch} {
			all[kind+" has a block device of "+volume] = attack{"DeviceForeign", beside(kind, corev1.Container{
				VolumeDevices: []corev1.VolumeDevice{{Name: volume, DevicePath: "/dev/x"}}})}
			all[kind+" reads a variable out of "+volume] = attack{"EnvForeign", beside(kind, corev1.Container{Env: fileKey(volume)})}
		}
	}
	return all
}

func attacksOnInit() map[string]attack {
	all := map[string]attack{}
	for name, change := range map[string]func(*corev1.Container){
		"another image":        func(c *corev1.Container) { c.Image = "evil" },
		"another command":      func(c *corev1.Container) { c.Command = []string{"sh"} },
		"another user":         func(c *corev1.Container) { c.Args[1] = "--user=bob" },
		"another number":       func(c *corev1.Container) { c.Args[7] = "--uid=5002" },
		"told twice":           func(c *corev1.Container) { c.Args = append(c.Args, "--user=bob") },
		"a variable":           func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "LD_PRELOAD", Value: "x"}} },
		"variables of a map":   func(c *corev1.Container) { c.EnvFrom = []corev1.EnvFromSource{{Prefix: "LD_"}} },
		"another directory":    func(c *corev1.Container) { c.WorkingDir = "/tmp" },
		"a hook":               func(c *corev1.Container) { c.Lifecycle = &corev1.Lifecycle{} },
		"a sidecar":            func(c *corev1.Container) { c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways) },
		"rules of restart":     func(c *corev1.Container) { c.RestartPolicyRules = []corev1.ContainerRestartRule{{}} },
		"a block device":       func(c *corev1.Container) { c.VolumeDevices = []corev1.VolumeDevice{{Name: share}} },
		"the whole share":      func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "" },
		"the share by an expr": func(c *corev1.Container) { c.VolumeMounts[0].SubPathExpr = "home" },
		"the share writable":   func(c *corev1.Container) { c.VolumeMounts[0].ReadOnly = false },
		"the share spread": func(c *corev1.Container) {
			c.VolumeMounts[0].MountPropagation = new(corev1.MountPropagationBidirectional)
		},
		"a mount less":         func(c *corev1.Container) { c.VolumeMounts = c.VolumeMounts[:2] },
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
		"homes of one's own making": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/data/hpc/home/alice"})
		},
		"something over its program": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/jupyter-user-init"})
		},
		"a mount below the secrets that leads out": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/../../../x"})
		},
		"a mount over the token": func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/var/run/secrets/kubernetes.io/x/.."})
		},
	} {
		all["the init container with "+name] = attack{"Drifted", inits(change)}
	}
	return all
}

func attacksOnIdentity() map[string]attack {
	all := map[string]attack{
		"no discovery at all": {"Drifted", func(pod *corev1.Pod) { pod.Annotations["jupyter-user.io/discovery"] = "None" }},
		"another way":         {"Drifted", func(pod *corev1.Pod) { pod.Annotations["jupyter-user.io/discovery"] = "AtStart" }},
		"another identity":    {"IdentityDiffers", func(pod *corev1.Pod) { pod.Annotations["jupyter-user.io/identity"] = "5002:6002" }},
		"no identity":         {"IdentityDiffers", func(pod *corev1.Pod) { delete(pod.Annotations, "jupyter-user.io/identity") }},
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
		all["the notebook with "+name] = attack{"Drifted", notebooks(func(c *corev1.Container) { change(c.SecurityContext) })}
	}
	return all
}

// attacksByFSGroup are Pods with an fsGroup each.
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
		"more than two capabilities": {"Drifted", notebooks(func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"SETUID", "SETGID", "DAC_OVERRIDE"}
		})},
		"another command, as root":     {"Drifted", notebooks(func(c *corev1.Container) { c.Command = []string{"sh", "-c", "id"} })},
		"our program for another user": {"Drifted", notebooks(func(c *corev1.Container) { c.Command[2] = "--user=bob" })},
		"our program from elsewhere":   {"Drifted", notebooks(func(c *corev1.Container) { c.Command[0] = "/home/alice/jupyter-user-init" })},
		"a probe that runs as root": {"Drifted", notebooks(func(c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"sh"}}}}
		})},
		"the init container as somebody": {"Drifted", inits(func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(5002)) })},
		"something over /proc":           {"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: "/proc"})},
		"something over /proc/":          {"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: "/x/../proc/"})},
		"something in /proc":             {"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: "/proc/self"})},
		"something over /dev":            {"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: "/dev"})},
		"something over /dev/fd":         {"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: "/dev/fd"})},
		"something over /dev/stdin":      {"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: "/dev/stdin"})},
		"something over all":             {"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: "/"})},
		"a message over /dev/stdout": {"MountNested", notebooks(func(c *corev1.Container) {
			c.TerminationMessagePath = "/dev/stdout"
		})},
	}
}

// asUser is the security context that another container must have where notebooks see more of the share than the home.
func asUser(change func(*corev1.SecurityContext)) corev1.Container {
	s := &corev1.SecurityContext{RunAsUser: new(int64(5003)), RunAsGroup: new(int64(6003)), AllowPrivilegeEscalation: new(false)}
	change(s)
	return corev1.Container{SecurityContext: s}
}

func attacksBeside() map[string]attack {
	all := map[string]attack{}
	for _, kind := range []string{"init", "regular", "ephemeral"} {
		for name, c := range map[string]corev1.Container{
			"the image's own user": {},
			"another UID":          asUser(func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(5002)) }),
			"root":                 asUser(func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(0)) }),
			"no UID":               asUser(func(s *corev1.SecurityContext) { s.RunAsUser = nil }),
			"another GID":          asUser(func(s *corev1.SecurityContext) { s.RunAsGroup = new(int64(6002)) }),
			"no GID":               asUser(func(s *corev1.SecurityContext) { s.RunAsGroup = nil }),
			"privilege escalation": asUser(func(s *corev1.SecurityContext) { s.AllowPrivilegeEscalation = new(true) }),
			"unset escalation":     asUser(func(s *corev1.SecurityContext) { s.AllowPrivilegeEscalation = nil }),
			"privileges":           asUser(func(s *corev1.SecurityContext) { s.Privileged = new(true) }),
			"capabilities": asUser(func(s *corev1.SecurityContext) {
				s.Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"DAC_OVERRIDE", "SETUID"}}
			}),
		} {
			all[kind+" with "+name] = attack{"SidecarForeign", beside(kind, c)}
		}
	}
	all["the Pod's own UID is another's"] = attack{"SidecarForeign", func(pod *corev1.Pod) {
		pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5002)), new(int64(6003))
		beside("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsUser = nil }))(pod)
	}}
	all["the Pod's own GID is another's"] = attack{"SidecarForeign", func(pod *corev1.Pod) {
		pod.Spec.SecurityContext.RunAsGroup = new(int64(6002))
		beside("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsGroup = nil }))(pod)
	}}
	return all
}

func attacksInAnotherHome() map[string]attack {
	all := map[string]attack{}
	for name, path := range map[string]string{
		"another's home":            "/data/hpc/home/bob",
		"inside of another's home":  "/data/hpc/home/bob/new",
		"by a way round":            "/data/hpc/home/alice/../bob/new",
		"of a name that begins so":  "/data/hpc/home/alice2",
		"the homes":                 "/data/hpc/home",
		"elsewhere on the share":    "/data/hpc/projects/x",
		"a link in the home":        "/home/alice/link/new",
		"a link in the home, there": "/data/hpc/home/alice/link/new",
	} {
		all["a mount at "+name] = attack{"MountNested", mounts(corev1.VolumeMount{Name: "mine", MountPath: path})}
		all["a message at "+name] = attack{"MountNested", notebooks(func(c *corev1.Container) { c.TerminationMessagePath = path })}
		all["to start in "+name] = attack{"MountNested", notebooks(func(c *corev1.Container) { c.WorkingDir = path })}
	}
	all["a mount in another volume, which may be a link"] = attack{"MountNested", notebooks(func(c *corev1.Container) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/e"},
			corev1.VolumeMount{Name: "mine", MountPath: "/e/link/new"})
	})}
	all["to start in another volume, which may be a link"] = attack{"MountNested", notebooks(func(c *corev1.Container) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/e"})
		c.WorkingDir = "/e/link/new"
	})}
	return all
}

// TestWhatMayRunBesideMoreOfTheShare: the rule is about who a container is, and leaves out none that is the user.
func TestWhatMayRunBesideMoreOfTheShare(t *testing.T) {
	t.Parallel()
	id := identity.New(5003, 6003, nil)
	whole := config.Default()
	whole.Share.ExposeEveryHome = config.ExposeToTheUser
	discovery := golden.Case{Config: whole, Identity: &id}.Fixed()
	made := admit(t, discovery, []byte(bare))
	for name, change := range map[string]func(*corev1.Pod){
		"a sidecar that is the user":         beside("regular", asUser(func(*corev1.SecurityContext) {})),
		"an init container that is the user": beside("init", asUser(func(*corev1.SecurityContext) {})),
		"the user by the Pod's own numbers": func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5003)), new(int64(6003))
			beside("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsUser, s.RunAsGroup = nil, nil }))(pod)
		},
		"the Pod's own numbers are another's and nobody's": func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5002)), new(int64(6002))
			beside("regular", asUser(func(*corev1.SecurityContext) {}))(pod)
		},
		"capabilities dropped": beside("regular", asUser(func(s *corev1.SecurityContext) {
			s.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
		})),
		"a mount beside the share": mounts(corev1.VolumeMount{Name: "mine", MountPath: "/e"}),
		"to start in the home":     notebooks(func(c *corev1.Container) { c.WorkingDir = "/home/alice/" }),
		"to start in the home, there": notebooks(func(c *corev1.Container) {
			c.WorkingDir = "/data/hpc/home/alice"
		}),
		"to start elsewhere": notebooks(func(c *corev1.Container) { c.WorkingDir = "/opt/app" }),
		"to start in a volume": notebooks(func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/e"})
			c.WorkingDir = "/e"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			raw := changed(t, made, change)
			assert.Empty(t, discovery.Verify(raw).Denials)
			assert.Empty(t, discovery.Decide(raw).Denials)
		})
	}
}

// TestBothReviewsDenyASidecarInTheSameWords: early, where the one who wrote it hears of it, and at the end.
func TestBothReviewsDenyASidecarInTheSameWords(t *testing.T) {
	t.Parallel()
	id := identity.New(5003, 6003, nil)
	more := config.Default()
	more.Share.Directories = []config.Directory{{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly}}
	discovery := golden.Case{Config: more, Identity: &id}.Fixed()
	side := beside("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsGroup = new(int64(6002)) }))
	early := discovery.Decide(changed(t, []byte(bare), side))
	late := discovery.Verify(changed(t, admit(t, discovery, []byte(bare)), side))
	require.Len(t, early.Denials, 1)
	assert.Equal(t, early.Denials, late.Denials)
	assert.Equal(t, "spec.containers[1].securityContext", early.Denials[0].Field)
	assert.Equal(t, "notebooks here see more of the share than the home, and can pass an open directory of it to another container: "+
		"this container needs runAsUser: 5003, runAsGroup: 6003 and allowPrivilegeEscalation: false, and neither privileged nor added "+
		"capabilities; or leave this container out. A service mesh's sidecar has a UID of its own: such Pods need a mesh without sidecars", early.Denials[0].Message)
	require.Empty(t, golden.Case{Config: config.Default(), Identity: &id}.Decide(changed(t, []byte(bare), side)).Denials,
		"with the home alone, other containers are whoever they are")
}

// TestTheShareByTheNameShare: volume names are configured, and decide nothing.
func TestTheShareByTheNameShare(t *testing.T) {
	t.Parallel()
	named := config.Default()
	named.Share.VolumeName, named.Scratch.VolumeName = "share", "scratch"
	id := identity.New(5003, 6003, nil)
	for _, discovery := range []golden.Case{{Config: named, Identity: &id}, {Config: named}} {
		discovery = discovery.Fixed()
		made := admit(t, discovery, []byte(bare))
		require.Empty(t, discovery.Verify(made).Denials)
		pod := &corev1.Pod{}
		require.NoError(t, json.Unmarshal(made, pod))
		assert.Equal(t, "share", pod.Spec.Volumes[0].Name)
		assert.NotEmpty(t, discovery.Verify(changed(t, made, mounts(corev1.VolumeMount{Name: "share", MountPath: "/all"}))).Denials)
		other := plainWith(metav1.ObjectMeta{})
		assert.Empty(t, discovery.Verify(changed(t, made, func(pod *corev1.Pod) {
			volumes := pod.Spec.Volumes
			other(pod)
			pod.Spec.Volumes = volumes
		})).Denials, "a Pod that is none of ours may have our volume names; its claim is the policies' business")
	}
}
