package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// homesByInitialValues has the chart values for homes whose path has the first letter of the user's name as a directory.
const homesByInitialValues = `{config: {share: {home: "people/{initial}/{user}"}}}`

// homesByInitial sets the pattern of homesByInitialValues in a configuration.
func homesByInitial(c *config.Config) { c.Share.Home = "people/{initial}/{user}" }

// attacksOnHomesByInitial returns changes to the mounts of alice's notebook, whose home is people/a/alice.
func attacksOnHomesByInitial() map[string]func(*corev1.Pod) {
	notebook := func(subPath string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.Spec.Containers[0].VolumeMounts[0].SubPath = subPath }
	}
	init := func(mountPath, subPath string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			m := &pod.Spec.InitContainers[0].VolumeMounts[0]
			m.MountPath, m.SubPath = mountPath, subPath
		}
	}
	return map[string]func(*corev1.Pod){
		"another user's home of the same initial": notebook("people/a/ann"),
		"another user's home":                     notebook("people/b/bob"),
		"a home without the initial":              notebook("people/alice"),
		"the initial of another letter":           notebook("people/A/alice"),
		"the homes of an initial":                 notebook("people/a"),
		"all homes":                               notebook("people"),
		"the share's root":                        notebook(""),
		"the pattern itself":                      notebook("people/{initial}/{user}"),
		"a directory of the home":                 notebook("people/a/alice/x"),
		"a home two directories further down":     notebook("people/a/a/alice"),
		"the init container sees all homes":       init("/data/hpc/people", "people"),
		"the init container sees other homes":     init("/data/hpc/people/b", "people/b"),
		"the init container sees other homes at the mount path of its own": init("/data/hpc/people/a", "people/b"),
		"the init container sees the share's root":                         init("/data/hpc/people/a", ""),
		"the init container sees its homes elsewhere":                      init("/data/hpc/people/b", "people/a"),
	}
}

// TestNetWithHomesByInitial tests, without the webhook, that the policy net.jupyter-user.io computes the home from the
// pattern and the user's name, and denies mounts of other homes.
func TestNetWithHomesByInitial(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, homesByInitialValues)})
	configured := config.Default()
	homesByInitial(configured)
	for _, user := range []string{"alice", "qiang.guo03"} {
		require.NoError(t, create(t.Context(), g.carol, "lab", injectedBy(t, configured, user)), "what the webhook makes is admitted")
	}
	for name, change := range attacksOnHomesByInitial() {
		t.Run(name, func(t *testing.T) {
			pod := injectedBy(t, configured, "alice")
			change(pod)
			err := create(t.Context(), g.carol, "lab", pod)
			require.Error(t, err)
			assert.Regexp(t, `ValidatingAdmissionPolicy 'net.jupyter-user.io'.* denied request: (MountForeign|InitForeign): `, err.Error())
		})
	}
}

// TestVerifierWithHomesByInitial tests that the verifier denies the attacks of attacksOnHomesByInitial without policies.
func TestVerifierWithHomesByInitial(t *testing.T) {
	t.Parallel()
	g := startVerified(t)
	g.reconfigure(t, homesByInitial)
	require.NoError(t, create(t.Context(), g.carol, "lab", injectedBy(t, g.configured, "alice")))
	for name, change := range attacksOnHomesByInitial() {
		t.Run(name, func(t *testing.T) {
			pod := injectedBy(t, g.configured, "alice")
			change(pod)
			assert.ErrorContains(t, create(t.Context(), g.carol, "lab", pod),
				`admission webhook "verified-pods.jupyter-user.io" denied the request: `)
		})
	}
}

// withDirectories configures a directory that notebooks can read, and one that they can write to.
func withDirectories(c *config.Config) {
	c.Share.Directories = []config.Directory{
		{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly},
		{SubPath: "projects", MountPath: "/data/hpc/projects", Access: config.AccessReadWrite},
	}
}

// TestAttacksOnDirectories tests that a notebook must mount the listed directories exactly as the configuration has
// them. The verifier denies any difference. The policy net.jupyter-user.io denies mounts of other directories of the
// share.
func TestAttacksOnDirectories(t *testing.T) {
	t.Parallel()
	verified := startVerified(t)
	verified.reconfigure(t, withDirectories)
	net := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, `{config: {share: {directories: [
		{subPath: datasets, mountPath: /data/hpc/datasets, access: ReadOnly},
		{subPath: projects, mountPath: /data/hpc/projects, access: ReadWrite}]}}}`)})
	mount := func(change func(*corev1.VolumeMount)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			for i := range pod.Spec.Containers[0].VolumeMounts {
				if m := &pod.Spec.Containers[0].VolumeMounts[i]; m.SubPath == "datasets" {
					change(m)
				}
			}
		}
	}
	require.NoError(t, create(t.Context(), verified.carol, "lab", injectedBy(t, verified.configured, "alice")))
	require.NoError(t, create(t.Context(), net.carol, "lab", injectedBy(t, verified.configured, "alice")), "what the webhook makes is admitted")
	for name, a := range map[string]struct {
		change      func(*corev1.Pod)
		deniedByNet bool
	}{
		"a read-only directory to write to": {mount(func(m *corev1.VolumeMount) { m.ReadOnly = false }), false},
		"a directory at another mount path": {mount(func(m *corev1.VolumeMount) { m.MountPath = "/mnt/datasets" }), false},
		"a subdirectory":                    {mount(func(m *corev1.VolumeMount) { m.SubPath = "datasets/secret" }), true},
		"a directory that is not listed":    {mount(func(m *corev1.VolumeMount) { m.SubPath = "datasets2" }), true},
		"the directories' parent":           {mount(func(m *corev1.VolumeMount) { m.SubPath = "" }), true},
		"a subPath with two dots":           {mount(func(m *corev1.VolumeMount) { m.SubPath = "datasets/../home/bob" }), false},
		"a directory by an expression": {mount(func(m *corev1.VolumeMount) {
			m.SubPath, m.SubPathExpr = "", "datasets"
		}), true},
		"the init container sees a directory": {func(pod *corev1.Pod) {
			pod.Spec.InitContainers[0].VolumeMounts[0].SubPath = "projects"
		}, true},
		"a sidecar with a directory": {func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x", VolumeMounts: []corev1.VolumeMount{
				{Name: "hpc-shared-volume", MountPath: "/p", SubPath: "projects"}}})
		}, false},
		"a sidecar of another UID": {func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x",
				SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(1337)), AllowPrivilegeEscalation: new(false)}})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := injectedBy(t, verified.configured, "alice")
			a.change(pod)
			err := create(t.Context(), verified.carol, "lab", pod.DeepCopy())
			require.Error(t, err, "the Pod was admitted")
			if name != "a subPath with two dots" { // The API server itself denies this Pod.
				assert.ErrorContains(t, err, `admission webhook "verified-pods.jupyter-user.io" denied the request: `)
			}
			if a.deniedByNet {
				assert.ErrorContains(t, create(t.Context(), net.carol, "lab", pod), "ValidatingAdmissionPolicy 'net.jupyter-user.io'")
			}
		})
	}
}

// homesByFieldValues has the chart values for homes whose paths are in the directory service. The paths begin with the
// prefix /hpc. homesByField sets this prefix in a configuration.
const homesByFieldValues = `{share: {homePrefix: /hpc}, identity: {ldap: {urls: ['ldaps://ldap.example.org'], users: {baseDN: 'dc=example'}, ca: x}}}`

func homesByField(c *config.Config) { c.Share.HomePrefix = "/hpc" }

// attacksOnHomesByField returns changes to the mounts of alice's notebook and to its annotation with the home. Her home
// is /hpc/home/a/alice. The policy net.jupyter-user.io accepts the annotation only if its path is at least two levels below
// the prefix and the last element is the user's name.
func attacksOnHomesByField() map[string]func(*corev1.Pod) {
	moved := func(annotation, home, parent string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/home"] = annotation
			for i := range pod.Spec.Containers[0].VolumeMounts {
				if m := &pod.Spec.Containers[0].VolumeMounts[i]; m.Name == "hpc-shared-volume" {
					m.SubPath = home
				}
			}
			m := &pod.Spec.InitContainers[0].VolumeMounts[0]
			m.SubPath, m.MountPath = parent, "/data/hpc/"+parent
		}
	}
	return map[string]func(*corev1.Pod){
		"another user's home":                     moved("/hpc/home/b/bob", "home/b/bob", "home/b"),
		"another user's home by the mounts alone": moved("/hpc/home/a/alice", "home/b/bob", "home/a"),
		"a directory in the home":                 moved("/hpc/home/a/alice", "home/a/alice/x", "home/a"),
		"another prefix":                          moved("/other/home/a/alice", "home/a/alice", "home/a"),
		"a longer prefix":                         moved("/hpc2/home/a/alice", "home/a/alice", "home/a"),
		"a name with the same ending":             moved("/hpc/home/malice", "home/malice", "home"),
		"a home in the share's root":              moved("/hpc/alice", "alice", ""),
		"a home in the root by two slashes":       moved("/hpc//alice", "alice", ""),
		"the share's root":                        moved("/hpc", "", ""),
		"no home":                                 moved("", "home/a/alice", "home/a"),
		"a directory above the parent":            moved("/hpc/home/a/alice", "home/a/alice", "home"),
		"no annotation": func(pod *corev1.Pod) {
			delete(pod.Annotations, "jupyter-user.io/home")
		},
	}
}

// TestAttacksOnHomesByField tests that the policy net.jupyter-user.io and the verifier each deny the attacks of
// attacksOnHomesByField. The verifier also reads the home from the directory service. If the home has changed, the verifier
// denies the Pod with the reason IdentityDiffers.
func TestAttacksOnHomesByField(t *testing.T) {
	t.Parallel()
	net := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, homesByFieldValues)})
	verified := startVerified(t)
	verified.reconfigure(t, homesByField)
	made := injectedBy(t, verified.configured, "alice")
	assert.Equal(t, "home/a/alice", made.Spec.Containers[0].VolumeMounts[0].SubPath)
	require.NoError(t, create(t.Context(), net.carol, "lab", made.DeepCopy()), "what the webhook makes is admitted")
	require.NoError(t, create(t.Context(), verified.carol, "lab", made.DeepCopy()))
	for name, change := range attacksOnHomesByField() {
		t.Run(name, func(t *testing.T) {
			pod := made.DeepCopy()
			change(pod)
			err := create(t.Context(), net.carol, "lab", pod.DeepCopy())
			require.Error(t, err)
			assert.Regexp(t, `ValidatingAdmissionPolicy 'net.jupyter-user.io'.* denied request: (MountForeign|InitForeign): `, err.Error())
			assert.ErrorContains(t, create(t.Context(), verified.carol, "lab", pod),
				`admission webhook "verified-pods.jupyter-user.io" denied the request: `)
		})
	}
	moved := made.DeepCopy()
	moved.Annotations["jupyter-user.io/home"] = "/hpc/home/2/alice"
	err := create(t.Context(), verified.carol, "lab", moved)
	assert.Equal(t, "IdentityDiffers", reason(err), "the home of alice has changed between the two reviews")
	assert.ErrorContains(t, err, "try again")
}

// userDirectoryValues has the chart values for directories whose subPath contains the user's name. directoriesOfUsers sets
// these directories in a configuration.
const userDirectoryValues = `{config: {share: {directories: [{subPath: 'scratch/{user}', mountPath: /scratch, access: ReadWrite},
	{claimName: hpc-archive, subPath: 'u/{initial}/{user}', mountPath: /archive, access: ReadOnly}]}}}`

func directoriesOfUsers(c *config.Config) {
	c.Share.Directories = []config.Directory{
		{SubPath: "scratch/{user}", MountPath: "/scratch", Access: config.AccessReadWrite},
		{ClaimName: "hpc-archive", SubPath: "u/{initial}/{user}", MountPath: "/archive", Access: config.AccessReadOnly},
	}
}

// attacksOnDirectoriesOfUsers returns changes to the mounts of alice's notebook: to those of her directories in the
// notebook container, or to those of the parent directories in the init container.
func attacksOnDirectoriesOfUsers() map[string]func(*corev1.Pod) {
	change := func(c *corev1.Container, subPath string, to func(*corev1.VolumeMount)) {
		for i := range c.VolumeMounts {
			if c.VolumeMounts[i].SubPath == subPath {
				to(&c.VolumeMounts[i])
			}
		}
	}
	notebook := func(from, subPath string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			change(&pod.Spec.Containers[0], from, func(m *corev1.VolumeMount) { m.SubPath = subPath })
		}
	}
	init := func(from string, to func(*corev1.VolumeMount)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { change(&pod.Spec.InitContainers[0], from, to) }
	}
	return map[string]func(*corev1.Pod){
		"another user's directory":                  notebook("scratch/alice", "scratch/bob"),
		"the directories of all users":              notebook("scratch/alice", "scratch"),
		"the pattern itself":                        notebook("scratch/alice", "scratch/{user}"),
		"a subdirectory":                            notebook("scratch/alice", "scratch/alice/x"),
		"another user's directory of a claim":       notebook("u/a/alice", "u/b/bob"),
		"the directories of an initial of a claim":  notebook("u/a/alice", "u/a"),
		"the share's directory of a claim":          notebook("u/a/alice", "scratch/alice"),
		"the whole of a claim":                      notebook("u/a/alice", ""),
		"the init container sees the whole share":   init("scratch", func(m *corev1.VolumeMount) { m.SubPath = "" }),
		"the init container sees another directory": init("scratch", func(m *corev1.VolumeMount) { m.SubPath = "projects" }),
		"the init container sees another initial":   init("u/a", func(m *corev1.VolumeMount) { m.SubPath = "u/b" }),
		"the init container sees the whole claim":   init("u/a", func(m *corev1.VolumeMount) { m.SubPath = "" }),
		"the init container sees more of the claim": init("u/a", func(m *corev1.VolumeMount) { m.SubPath = "u" }),
		"the init container sees the directory at another mount path": init("scratch", func(m *corev1.VolumeMount) {
			m.MountPath = "/directories/hpc-archive/scratch"
		}),
		"the init container writes to the directory": init("scratch", func(m *corev1.VolumeMount) { m.ReadOnly = false }),
		"the init container sees the directory of another claim": init("scratch", func(m *corev1.VolumeMount) {
			m.Name = "hpc-archive"
		}),
		"the init container sees the directory by an expression": init("scratch", func(m *corev1.VolumeMount) {
			m.SubPath, m.SubPathExpr = "", "scratch"
		}),
	}
}

// TestAttacksOnDirectoriesOfUsers tests that the policy net.jupyter-user.io and the verifier each deny the attacks of
// attacksOnDirectoriesOfUsers.
func TestAttacksOnDirectoriesOfUsers(t *testing.T) {
	t.Parallel()
	net := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, userDirectoryValues)})
	verified := startVerified(t)
	verified.reconfigure(t, directoriesOfUsers)
	made := injectedBy(t, verified.configured, "alice")
	require.NoError(t, create(t.Context(), net.carol, "lab", made.DeepCopy()), "what the webhook makes is admitted")
	require.NoError(t, create(t.Context(), verified.carol, "lab", made.DeepCopy()))
	for name, change := range attacksOnDirectoriesOfUsers() {
		t.Run(name, func(t *testing.T) {
			pod := made.DeepCopy()
			change(pod)
			require.NotEqual(t, made, pod)
			err := create(t.Context(), net.carol, "lab", pod.DeepCopy())
			require.Error(t, err)
			assert.Regexp(t, `ValidatingAdmissionPolicy 'net.jupyter-user.io'.* denied request: (MountForeign|InitForeign): `, err.Error())
			assert.ErrorContains(t, create(t.Context(), verified.carol, "lab", pod),
				`admission webhook "verified-pods.jupyter-user.io" denied the request: `)
		})
	}
}
