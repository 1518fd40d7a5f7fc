package property

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// checkInjected tests that an admitted Pod has the init container, the mounts, the groups, and the fields of the
// notebook container that the webhook injects. It reads the typed Pod and does not use the planner.
func checkInjected(t *testing.T, c golden.Case, pod *corev1.Pod) {
	t.Helper()
	name := pod.Annotations["jupyter-user.io/user"]
	assert.NotEmpty(t, name)

	require.NotEmpty(t, pod.Spec.InitContainers)
	first := pod.Spec.InitContainers[0]
	assert.Equal(t, "jupyter-user-init", first.Name)
	assert.Contains(t, append([]string{"jupyter-user-webhook:v0.2.0"}, c.Config.Init.AcceptedImages...), first.Image)
	assert.Equal(t, []string{"/jupyter-user-init"}, first.Command)
	assert.Equal(t, []string{"discover", "--user=" + name}, first.Args[:2])
	assert.Empty(t, first.Env)
	assert.Nil(t, first.RestartPolicy)
	assert.True(t, *first.SecurityContext.RunAsNonRoot)
	assert.False(t, *first.SecurityContext.AllowPrivilegeEscalation)
	assert.Equal(t, []corev1.Capability{"ALL"}, first.SecurityContext.Capabilities.Drop)
	assert.Empty(t, first.SecurityContext.Capabilities.Add)

	assert.Equal(t, 1, count(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "hpc-shared-pvc"
	}), "the share comes in once")
	if c.Config.Share.ExposeEveryHome == config.ExposeNever {
		checkMounts(t, pod, name, c)
		checkNesting(t, pod)
	}
	checkGroups(t, c, pod)
	checkNotebook(t, c, pod)
}

// checkMounts tests that the containers have no mounts of the share, the further claims and the scratch volume except those
// that the webhook injects. The injected mounts that every notebook needs must be there.
func checkMounts(t *testing.T, pod *corev1.Pod, name string, c golden.Case) {
	t.Helper()
	var seen []string
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, m := range container.VolumeMounts {
			mode := map[bool]string{true: " ro", false: " rw"}[m.ReadOnly]
			if m.Name == "hpc-shared-volume" || m.Name == "uid-gid-config" || slices.Contains(c.Config.Share.FurtherClaims(), m.Name) {
				assert.Empty(t, m.SubPathExpr)
				seen = append(seen, strings.Join([]string{m.Name, m.SubPath, path.Clean(m.MountPath)}, " ")+mode)
			}
		}
	}
	expand := strings.NewReplacer("{user}", name, "{initial}", name[:1]).Replace
	home := expand(string(c.Config.Share.Home))
	allowed := []string{
		"hpc-shared-volume " + path.Dir(home) + " /data/hpc/" + path.Dir(home) + " ro",
		"uid-gid-config  /config rw",
		"uid-gid-config  /var/run/secrets/kubernetes.io/serviceaccount ro",
		"hpc-shared-volume " + home + " /data/hpc/" + home + " rw",
		"hpc-shared-volume " + home + " /home/" + name + " rw",
		"uid-gid-config  /config ro",
		"uid-gid-config passwd /etc/passwd ro",
		"uid-gid-config group /etc/group ro",
	}
	modes := map[config.Access]string{config.AccessReadOnly: " ro", config.AccessReadWrite: " rw"}
	for _, d := range c.Config.Share.Directories {
		allowed = append(allowed, cmp.Or(d.ClaimName, "hpc-shared-volume")+" "+expand(d.SubPath)+" "+expand(d.MountPath)+modes[d.Access])
		if strings.HasSuffix(d.SubPath, "/{user}") {
			parent := path.Dir(expand(d.SubPath))
			allowed = append(allowed, cmp.Or(d.ClaimName, "hpc-shared-volume")+" "+parent+
				" /directories/"+cmp.Or(d.ClaimName, "hpc-shared-pvc")+"/"+parent+" ro")
		}
	}
	for _, s := range seen {
		assert.Contains(t, allowed, s)
	}
	assert.Subset(t, seen, allowed[:6])
}

// checkNesting tests that no mount is inside another mount, inside /proc or inside /dev/fd, because a symbolic link in the
// outer mount could lead the inner mount over the program jupyter-user-init. The function tests the init container, and a
// notebook container that starts as root.
func checkNesting(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	containers := pod.Spec.InitContainers[:1:1]
	if pod.Annotations["jupyter-user.io/discovery"] == "AtStart" {
		notebook := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool {
			return c.Name == pod.Annotations["jupyter-user.io/container"]
		})
		containers = append(containers, pod.Spec.Containers[notebook])
	}
	for _, container := range containers {
		for _, inner := range container.VolumeMounts {
			assert.NotRegexp(t, "^/(proc|dev/fd)/", path.Clean(inner.MountPath))
			for _, outer := range container.VolumeMounts {
				assert.False(t, strings.HasPrefix(path.Clean(inner.MountPath), path.Clean(outer.MountPath)+"/"), "%s in %s of %s",
					inner.MountPath, outer.MountPath, container.Name)
			}
		}
	}
}

func checkGroups(t *testing.T, c golden.Case, pod *corev1.Pod) {
	t.Helper()
	require.NotNil(t, pod.Spec.SecurityContext)
	if gid := pod.Spec.SecurityContext.FSGroup; gid != nil {
		assert.Equal(t, config.FSGroupKeep, c.Config.Share.FSGroup)
		assert.True(t, atAdmission(c) && (*gid == c.Identity.GID || slices.Contains(c.Identity.Groups, *gid)), "fsGroup must be a group of the user")
	}
	assert.Equal(t, corev1.SupplementalGroupsPolicyStrict, *pod.Spec.SecurityContext.SupplementalGroupsPolicy)
	if !atAdmission(c) {
		assert.Empty(t, pod.Spec.SecurityContext.SupplementalGroups)
	} else {
		floor := identity.Floor{MinGID: c.Config.Identity.MinGID, DeniedGIDs: c.Config.Identity.DeniedGIDs}
		within := floor.LeaveOut(*c.Identity)
		want := within.Groups[:min(len(within.Groups), c.Config.Identity.MaxGroups)]
		for _, gid := range c.Config.Identity.ImageGroups {
			if strings.Contains(string(c.YAML), fmt.Sprintf("supplementalGroups: [%d]", gid)) {
				want = append(slices.Clip(want), gid)
			}
		}
		assert.Equal(t, want, pod.Spec.SecurityContext.SupplementalGroups)
	}
}

func checkNotebook(t *testing.T, c golden.Case, pod *corev1.Pod) {
	t.Helper()
	at := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "hpc-shared-volume" })
	})
	require.GreaterOrEqual(t, at, 0, "one container has the home")
	notebook := pod.Spec.Containers[at]
	security := notebook.SecurityContext
	require.NotNil(t, security)
	assert.False(t, *security.AllowPrivilegeEscalation)
	assert.False(t, security.Privileged != nil && *security.Privileged)
	assert.Equal(t, []corev1.Capability{"ALL"}, security.Capabilities.Drop)
	if atAdmission(c) {
		assert.Equal(t, c.Identity.UID, *security.RunAsUser)
		assert.Equal(t, c.Identity.GID, *security.RunAsGroup)
		assert.True(t, *security.RunAsNonRoot)
		assert.Empty(t, security.Capabilities.Add)
		return
	}
	assert.Equal(t, []corev1.Capability{"SETUID", "SETGID"}, security.Capabilities.Add)
	assert.Equal(t, []string{"/config/jupyter-user-init", "exec"}, notebook.Command[:2])
	if l := notebook.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Exec != nil && len(l.PreStop.Exec.Command) > 0 {
		assert.Equal(t, []string{"/config/jupyter-user-init", "exec"}, l.PreStop.Exec.Command[:2])
	}
}

func atAdmission(c golden.Case) bool {
	return c.Identity != nil && c.Config.Identity.Discovery != config.DiscoveryAtStart
}

func count[T any](list []T, is func(T) bool) (n int) {
	for _, v := range list {
		if is(v) {
			n++
		}
	}
	return n
}
