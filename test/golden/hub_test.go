package golden

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// hubPod is a pod that the real KubeSpawner has made, before and after.
type hubPod struct {
	Case
	decision  webhook.Decision
	submitted *corev1.Pod
	// admitted is nil where it is denied.
	admitted *corev1.Pod
}

// hubPods are those of one version, as "6" or "7", or of both.
func hubPods(t *testing.T, version string) (pods []hubPod) {
	t.Helper()
	cases, err := Cases()
	require.NoError(t, err)
	for _, c := range cases {
		if !strings.HasPrefix(c.Name, "kubespawner-"+version) {
			continue
		}
		p := hubPod{Case: c, decision: c.Decide(c.JSON), submitted: decode(t, c.JSON)}
		if len(p.decision.Denials) == 0 {
			raw, err := pod.Apply(c.JSON, p.decision.Operations)
			require.NoError(t, err)
			p.admitted = decode(t, raw)
		}
		pods = append(pods, p)
	}
	require.NotEmpty(t, pods)
	return pods
}

func decode(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(raw, pod))
	return pod
}

// TestAHubFindsItsContainerItsPortAndItsArgs: by the names that it gave them, and whatever way the pod goes.
func TestAHubFindsItsContainerItsPortAndItsArgs(t *testing.T) {
	for _, p := range hubPods(t, "") {
		if p.admitted == nil {
			continue
		}
		before, after := p.submitted.Spec.Containers, p.admitted.Spec.Containers
		require.Len(t, after, len(before), p.Name)
		for i := range before {
			assert.Equal(t, before[i].Name, after[i].Name, p.Name)
			assert.Equal(t, before[i].Ports, after[i].Ports, p.Name)
			assert.Equal(t, before[i].Args, after[i].Args, p.Name)
		}
		assert.Equal(t, "notebook", after[0].Name, p.Name)
		assert.Equal(t, "notebook-port", after[0].Ports[0].Name, p.Name)
	}
}

// TestAHubsUserIsTheRawAnnotation: what the user is called in the hub, and no slug of it.
func TestAHubsUserIsTheRawAnnotation(t *testing.T) {
	users := map[string]string{}
	for _, p := range hubPods(t, "") {
		raw := p.submitted.Annotations["hub.jupyter.org/username"]
		if p.admitted == nil {
			users[raw] += "" // Some are refused in one case and admitted in another, by what is configured.
			continue
		}
		users[raw] = p.admitted.Annotations["jupyter-user.io/user"]
		assert.Contains(t, p.admitted.Spec.Containers[0].Env, corev1.EnvVar{Name: "HOME", Value: "/home/" + users[raw]}, p.Name)
	}
	assert.Equal(t, map[string]string{"alice": "alice", "alice.smith": "alice.smith", "user-1": "user-1", "Alice": "Alice",
		"alice@x.org": "alice", "alice@other.org": "", "123abc": "", "alice_s": ""}, users)
}

// TestProbesOfAHubsPodKnowItsPrefix: what is asked is below JUPYTERHUB_SERVICE_PREFIX, at the port of the hub's URL, and where
// the hub asks for certificates it is the port alone.
func TestProbesOfAHubsPodKnowItsPrefix(t *testing.T) {
	for _, p := range hubPods(t, "") {
		if p.admitted == nil || strings.Contains(p.Name, "cmd-of-its-own") {
			continue
		}
		env := map[string]string{}
		for _, v := range p.submitted.Spec.Containers[0].Env {
			env[v.Name] = v.Value
		}
		notebook := p.admitted.Spec.Containers[0]
		for _, probe := range []*corev1.Probe{notebook.StartupProbe, notebook.ReadinessProbe, notebook.LivenessProbe} {
			require.NotNil(t, probe, p.Name)
			if env["JUPYTERHUB_SSL_KEYFILE"] != "" {
				require.NotNil(t, probe.TCPSocket, p.Name)
				assert.Equal(t, notebook.Ports[0].ContainerPort, probe.TCPSocket.Port.IntVal, p.Name)
				continue
			}
			require.NotNil(t, probe.HTTPGet, p.Name)
			assert.Equal(t, env["JUPYTERHUB_SERVICE_PREFIX"]+"api", probe.HTTPGet.Path, p.Name)
			assert.Equal(t, notebook.Ports[0].ContainerPort, probe.HTTPGet.Port.IntVal, p.Name)
		}
	}
}

// TestNoHubsPodOpensInTheImagesOwnHome: neither by the working directory nor by notebook_dir, which the user could not enter.
func TestNoHubsPodOpensInTheImagesOwnHome(t *testing.T) {
	const own = "/home/jovyan"
	for _, p := range hubPods(t, "") {
		if p.admitted == nil {
			continue
		}
		notebook := p.admitted.Spec.Containers[0]
		assert.NotContains(t, notebook.WorkingDir, own, p.Name)
		assert.NotContains(t, strings.Join(notebook.Command, " "), own, p.Name)
		for _, v := range notebook.Env {
			assert.False(t, v.Name == "JUPYTERHUB_ROOT_DIR" && strings.HasPrefix(v.Value, own), p.Name)
		}
	}
}

// TestEveryVolumeOfAHubsThatFSGroupServedIsNamed: the group is gone, and the warning names the claims to check.
func TestEveryVolumeOfAHubsThatFSGroupServedIsNamed(t *testing.T) {
	for _, p := range hubPods(t, "") {
		if p.admitted == nil {
			continue
		}
		assert.Nil(t, p.admitted.Spec.SecurityContext.FSGroup, p.Name)
		about := slices.IndexFunc(p.decision.Warnings, func(w string) bool { return strings.HasPrefix(w, "fsGroup ") })
		claims := slices.DeleteFunc(slices.Clone(p.submitted.Spec.Volumes), func(v corev1.Volume) bool { return v.PersistentVolumeClaim == nil })
		if context := p.submitted.Spec.SecurityContext; context == nil || context.FSGroup == nil || len(claims) == 0 {
			assert.Negative(t, about, p.Name)
			continue
		}
		require.GreaterOrEqual(t, about, 0, p.Name)
		for _, v := range claims {
			assert.Contains(t, p.decision.Warnings[about], v.Name, p.Name)
		}
	}
}

// TestAHubsPodRunsAsTheUserWhateverItsOptionsSay: uid, gid, privileged and the like of the spawner's.
func TestAHubsPodRunsAsTheUserWhateverItsOptionsSay(t *testing.T) {
	for _, p := range hubPods(t, "") {
		if p.admitted == nil {
			continue
		}
		got := p.admitted.Spec.Containers[0].SecurityContext
		uid, gid := int64(0), int64(0)
		if p.Identity != nil {
			uid, gid = 5001, 6001
		}
		assert.Equal(t, &uid, got.RunAsUser, p.Name)
		assert.Equal(t, &gid, got.RunAsGroup, p.Name)
		assert.Nil(t, got.Privileged, p.Name)
		assert.False(t, *got.AllowPrivilegeEscalation, p.Name)
	}
}

// TestWhatAHubsPodIsDeniedFor: the reasons, each with its case.
func TestWhatAHubsPodIsDeniedFor(t *testing.T) {
	reasons := map[string]denial.Reason{}
	for _, p := range hubPods(t, "7") {
		for _, r := range p.decision.Denials {
			reasons[strings.TrimPrefix(p.Name, "kubespawner-7-")] = r.Reason
		}
	}
	assert.Equal(t, map[string]denial.Reason{
		"user-Alice":                              "NameInvalid",
		"user-123abc":                             "NameInvalid",
		"user-alice@x.org":                        "NameDomain",
		"user-alice@other.org-with-a-domain":      "NameDomain",
		"extra-labels-differ":                     "NamesDiffer",
		"supplemental-gids-at-start":              "GroupForeign",
		"supplemental-gids-at-admission":          "GroupForeign",
		"host-users":                              "UserNamespace",
		"storage-static-of-the-share":             "ShareAgain",
		"storage-at-the-persons-home":             "MountTaken",
		"storage-extra-volume-in-jovyan-at-start": "MountNested",
		"extra-files-in-jovyan-at-start":          "MountNested",
	}, reasons)
}

// TestBothVersionsOfKubeSpawnerAreTreatedAlike: the same cases are admitted, and denied for the same.
func TestBothVersionsOfKubeSpawnerAreTreatedAlike(t *testing.T) {
	seven := map[string]hubPod{}
	for _, p := range hubPods(t, "7") {
		seven[strings.TrimPrefix(p.Name, "kubespawner-7-")] = p
	}
	for _, p := range hubPods(t, "6") {
		other, ok := seven[strings.TrimPrefix(p.Name, "kubespawner-6-")]
		require.True(t, ok, p.Name)
		require.Len(t, p.decision.Denials, len(other.decision.Denials), p.Name)
		for i, r := range p.decision.Denials {
			assert.Equal(t, other.decision.Denials[i].Reason, r.Reason, p.Name)
		}
	}
}
