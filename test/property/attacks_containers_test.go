package property

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// asUser returns a container with the security context that every other container must have if notebooks see more than the
// home: the user's UID and GID, and no privilege escalation. The function "change" then modifies this security context.
func asUser(change func(*corev1.SecurityContext)) corev1.Container {
	s := &corev1.SecurityContext{RunAsUser: new(int64(5003)), RunAsGroup: new(int64(6003)), AllowPrivilegeEscalation: new(false)}
	change(s)
	return corev1.Container{SecurityContext: s}
}

func attacksByOtherContainers() map[string]attack {
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
			all[kind+" with "+name] = attack{"SidecarForeign", addContainer(kind, c)}
		}
	}
	all["another user's UID in the Pod"] = attack{"SidecarForeign", func(pod *corev1.Pod) {
		pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5002)), new(int64(6003))
		addContainer("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsUser = nil }))(pod)
	}}
	all["another user's GID in the Pod"] = attack{"SidecarForeign", func(pod *corev1.Pod) {
		pod.Spec.SecurityContext.RunAsGroup = new(int64(6002))
		addContainer("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsGroup = nil }))(pod)
	}}
	return all
}

func attacksInAnotherHome() map[string]attack {
	all := map[string]attack{}
	for name, path := range map[string]string{
		"another user's home":             "/data/hpc/home/bob",
		"inside another user's home":      "/data/hpc/home/bob/new",
		"a path with two dots":            "/data/hpc/home/alice/../bob/new",
		"a name with the same beginning":  "/data/hpc/home/alice2",
		"the homes":                       "/data/hpc/home",
		"another directory of the share":  "/data/hpc/projects/x",
		"a link in the home":              "/home/alice/link/new",
		"a link in the home on the share": "/data/hpc/home/alice/link/new",
	} {
		all["a mount at "+name] = attack{"MountNested", addMount(corev1.VolumeMount{Name: "mine", MountPath: path})}
		all["a message at "+name] = attack{"MountNested", changeNotebook(func(c *corev1.Container) { c.TerminationMessagePath = path })}
		all["to start in "+name] = attack{"MountNested", changeNotebook(func(c *corev1.Container) { c.WorkingDir = path })}
	}
	all["a mount in another volume, which can be a link"] = attack{"MountNested", changeNotebook(func(c *corev1.Container) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/e"},
			corev1.VolumeMount{Name: "mine", MountPath: "/e/link/new"})
	})}
	all["a mount around /etc/hosts, which can be a link"] = attack{"MountNested", func(pod *corev1.Pod) {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "jupyter-user.io/account-files", "off")
		addMount(corev1.VolumeMount{Name: "mine", MountPath: "/etc"})(pod)
	}}
	all["to start in another volume, which can be a link"] = attack{"MountNested", changeNotebook(func(c *corev1.Container) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/e"})
		c.WorkingDir = "/e/link/new"
	})}
	return all
}

// TestChangesThatAreAllowedWithDirectories tests changes that are allowed if notebooks see more of the share than the home:
// other containers that run as the user, and mounts and working directories outside the share or in the home.
func TestChangesThatAreAllowedWithDirectories(t *testing.T) {
	t.Parallel()
	id := identity.New(5003, 6003, nil)
	exposing := config.Default()
	exposing.Share.ExposeEveryHome = config.ExposeToTheUser
	condition := golden.Case{Config: exposing, Identity: &id}.WithSharedWebhook()
	admitted := admit(t, condition, []byte(bare))
	for name, change := range map[string]func(*corev1.Pod){
		"a sidecar that runs as the user":         addContainer("regular", asUser(func(*corev1.SecurityContext) {})),
		"an init container that runs as the user": addContainer("init", asUser(func(*corev1.SecurityContext) {})),
		"the user's UID and GID in the Pod": func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5003)), new(int64(6003))
			addContainer("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsUser, s.RunAsGroup = nil, nil }))(pod)
		},
		"another UID and GID in the Pod that no container uses": func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5002)), new(int64(6002))
			addContainer("regular", asUser(func(*corev1.SecurityContext) {}))(pod)
		},
		"capabilities dropped": addContainer("regular", asUser(func(s *corev1.SecurityContext) {
			s.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
		})),
		"a mount beside the share": addMount(corev1.VolumeMount{Name: "mine", MountPath: "/e"}),
		"to start in the home":     changeNotebook(func(c *corev1.Container) { c.WorkingDir = "/home/alice/" }),
		"to start in the home on the share": changeNotebook(func(c *corev1.Container) {
			c.WorkingDir = "/data/hpc/home/alice"
		}),
		"to start elsewhere": changeNotebook(func(c *corev1.Container) { c.WorkingDir = "/opt/app" }),
		"to start in a volume": changeNotebook(func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/e"})
			c.WorkingDir = "/e"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			raw := changed(t, admitted, change)
			assert.Empty(t, condition.Verify(raw).Denials)
			assert.Empty(t, condition.Decide(raw).Denials)
		})
	}
}

// TestSidecarDenialInBothReviews tests that mutation and verification deny a sidecar with the same message. Mutation denies
// the sidecar too, so that the author of the Pod gets the message early.
func TestSidecarDenialInBothReviews(t *testing.T) {
	t.Parallel()
	id := identity.New(5003, 6003, nil)
	more := config.Default()
	more.Share.Directories = []config.Directory{{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly}}
	condition := golden.Case{Config: more, Identity: &id}.WithSharedWebhook()
	side := addContainer("regular", asUser(func(s *corev1.SecurityContext) { s.RunAsGroup = new(int64(6002)) }))
	early := condition.Decide(changed(t, []byte(bare), side))
	late := condition.Verify(changed(t, admit(t, condition, []byte(bare)), side))
	require.Len(t, early.Denials, 1)
	assert.Equal(t, early.Denials, late.Denials)
	assert.Equal(t, "spec.containers[1].securityContext", early.Denials[0].Field)
	assert.Equal(t, "notebooks here see more of the share than the home, and can pass an open directory of it to another container: "+
		"this container needs runAsUser: 5003, runAsGroup: 6003 and allowPrivilegeEscalation: false, and neither privileged nor added "+
		"capabilities; or leave this container out. A service mesh's sidecar has a UID of its own: such Pods need a mesh without sidecars", early.Denials[0].Message)
	require.Empty(t, golden.Case{Config: config.Default(), Identity: &id}.Decide(changed(t, []byte(bare), side)).Denials,
		"with the home alone, other containers may run as any user")
}
