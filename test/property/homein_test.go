package property

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// podWithHomeIn is a notebook of alice. A sidecar and an init container get the home by annotation; another sidecar and
// another init container do not.
const podWithHomeIn = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"},
	"annotations":{"jupyter-user.io/home-in":"side,clone"}},
	"spec":{"initContainers":[{"name":"other-init","image":"x","securityContext":` + securityOfUser + `},{"name":"clone","image":"x"}],
	"containers":[{"name":"nb","image":"notebook"},{"name":"other","image":"x","securityContext":` + securityOfUser + `},
	{"name":"side","image":"x","securityContext":{"runAsUser":0,"privileged":true}}]}}`

const securityOfUser = `{"runAsUser":5003,"runAsGroup":6003,"allowPrivilegeEscalation":false}`

// TestAttacksOnHomeInOtherContainers tests two rules. A container that gets the home by annotation must run as the user,
// and must have nothing else of the share. A container that does not get the home must have nothing of the share. Both
// rules are tested with the home alone and with share.directories.
func TestAttacksOnHomeInOtherContainers(t *testing.T) {
	t.Parallel()
	id := identity.New(5003, 6003, []int64{7001})
	more := config.Default()
	more.Share.Directories = []config.Directory{{SubPath: "projects", MountPath: "/projects", Access: config.AccessReadWrite}}
	for name, c := range map[string]golden.Case{
		"with the home alone": golden.Case{Config: config.Default(), Identity: &id}.WithSharedWebhook(),
		"with directories":    golden.Case{Config: more, Identity: &id}.WithSharedWebhook(),
	} {
		made := admit(t, c, []byte(podWithHomeIn))
		require.Empty(t, c.Verify(made).Denials)
		require.Empty(t, c.Decide(made).Operations, "a second pass changes nothing")
		for does, a := range attacksOnHomeIn() {
			t.Run(name+"/"+does, func(t *testing.T) {
				var reasons []string
				for _, denied := range c.Verify(changed(t, made, a.change)).Denials {
					reasons = append(reasons, string(denied.Reason))
				}
				assert.Contains(t, reasons, a.reason)
			})
		}
	}
}

func attacksOnHomeIn() map[string]attack {
	all := map[string]attack{
		"a container added to the annotation": {"Drifted", func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/home-in"] = "side,clone,other"
		}},
		"a container removed from the annotation": {"MountForeign", func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/home-in"] = "clone"
		}},
		"the annotation removed": {"MountForeign", func(pod *corev1.Pod) { delete(pod.Annotations, "jupyter-user.io/home-in") }},
		"the annotation names an ephemeral container": {"AnnotationInvalid", func(pod *corev1.Pod) {
			addContainer("ephemeral", asUser(func(*corev1.SecurityContext) {}))(pod)
			pod.Annotations["jupyter-user.io/home-in"] = "side,clone,beside"
		}},
		"an ephemeral container with the home": {"MountForeign", func(pod *corev1.Pod) {
			c := asUser(func(*corev1.SecurityContext) {})
			c.VolumeMounts = []corev1.VolumeMount{{Name: share, MountPath: "/home/alice", SubPath: "home/alice"}}
			addContainer("ephemeral", c)(pod)
		}},
		"the annotation names our init container": {"AnnotationInvalid", func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/home-in"] = "side,clone,jupyter-user-init"
		}},
		"another container with the home": {"MountForeign", func(pod *corev1.Pod) {
			pod.Spec.Containers[1].VolumeMounts = pod.Spec.Containers[2].VolumeMounts
		}},
	}
	for container, find := range map[string]func(*corev1.Pod) *corev1.Container{
		"a sidecar":         func(pod *corev1.Pod) *corev1.Container { return &pod.Spec.Containers[2] },
		"an init container": func(pod *corev1.Pod) *corev1.Container { return &pod.Spec.InitContainers[2] },
	} {
		for does, a := range attacksOnHomeInContainer() {
			all[container+" with "+does] = attack{a.reason, func(pod *corev1.Pod) { a.change(find(pod)) }}
		}
	}
	return all
}

// attacksOnHomeInContainer returns attacks on a container that gets the home by annotation.
func attacksOnHomeInContainer() map[string]struct {
	reason string
	change func(*corev1.Container)
} {
	type change = struct {
		reason string
		change func(*corev1.Container)
	}
	all := map[string]change{
		"another user's home": {"MountForeign", func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "home/bob" }},
		"the whole share":     {"MountForeign", func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "" }},
		"the home by an expression": {"MountForeign", func(c *corev1.Container) {
			c.VolumeMounts[0].SubPath, c.VolumeMounts[0].SubPathExpr = "", "home/alice"
		}},
		"the home at another path": {"MountForeign", func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/elsewhere" }},
		"the home with mount propagation": {"MountForeign", func(c *corev1.Container) {
			c.VolumeMounts[0].MountPropagation = new(corev1.MountPropagationBidirectional)
		}},
		"a directory of the share":    {"MountForeign", mountMore(corev1.VolumeMount{Name: share, MountPath: "/p", SubPath: "projects"})},
		"the scratch volume":          {"MountForeign", mountMore(corev1.VolumeMount{Name: scratch, MountPath: "/config"})},
		"a mount over the home":       {"MountTaken", mountMore(corev1.VolumeMount{Name: "mine", MountPath: "/x/../home/alice"})},
		"one mount of the home":       {"Drifted", func(c *corev1.Container) { c.VolumeMounts = c.VolumeMounts[:1] }},
		"no home":                     {"Drifted", func(c *corev1.Container) { c.VolumeMounts = nil }},
		"no security context":         {"Drifted", func(c *corev1.Container) { c.SecurityContext = nil }},
		"the share as a block device": {"DeviceForeign", func(c *corev1.Container) { c.VolumeDevices = []corev1.VolumeDevice{{Name: share, DevicePath: "/d"}} }},
	}
	for name, weaken := range map[string]func(*corev1.SecurityContext){
		"another UID":          func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(5002)) },
		"root":                 func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(0)) },
		"no UID":               func(s *corev1.SecurityContext) { s.RunAsUser = nil },
		"another GID":          func(s *corev1.SecurityContext) { s.RunAsGroup = new(int64(6002)) },
		"no GID":               func(s *corev1.SecurityContext) { s.RunAsGroup = nil },
		"privilege escalation": func(s *corev1.SecurityContext) { s.AllowPrivilegeEscalation = new(true) },
		"privileges":           func(s *corev1.SecurityContext) { s.Privileged = new(true) },
		"a capability":         func(s *corev1.SecurityContext) { s.Capabilities.Add = []corev1.Capability{"DAC_OVERRIDE"} },
		"capabilities kept":    func(s *corev1.SecurityContext) { s.Capabilities.Drop = nil },
		"the real /proc":       func(s *corev1.SecurityContext) { s.ProcMount = new(corev1.UnmaskedProcMount) },
	} {
		all[name] = change{"Drifted", func(c *corev1.Container) { weaken(c.SecurityContext) }}
	}
	return all
}

func mountMore(m corev1.VolumeMount) func(*corev1.Container) {
	return func(c *corev1.Container) { c.VolumeMounts = append(c.VolumeMounts, m) }
}
