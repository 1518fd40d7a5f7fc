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

// hubPod is a Pod of the real KubeSpawner, as submitted and as admitted.
type hubPod struct {
	Case
	decision  webhook.Decision
	submitted *corev1.Pod
	// admitted is nil if the Pod is denied.
	admitted *corev1.Pod
}

// hubPods returns the Pods of KubeSpawner version "6" or "7", or of both versions if version is empty.
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

// TestHubPodKeepsContainersPortsAndArgs tests that the webhook keeps the container names, ports and arguments of a hub's
// Pod, with discovery at admission and at start.
func TestHubPodKeepsContainersPortsAndArgs(t *testing.T) {
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

// TestHubUserIsFromAnnotation tests that the user comes from the annotation hub.jupyter.org/username. The hub's label is
// not used, because the hub escapes the name in labels.
func TestHubUserIsFromAnnotation(t *testing.T) {
	users := map[string]string{}
	for _, p := range hubPods(t, "") {
		raw := p.submitted.Annotations["hub.jupyter.org/username"]
		if p.admitted == nil {
			users[raw] += "" // This keeps the user if another case, with another configuration, admits the same name.
			continue
		}
		users[raw] = p.admitted.Annotations["jupyter-user.io/user"]
		assert.Contains(t, p.admitted.Spec.Containers[0].Env, corev1.EnvVar{Name: "HOME", Value: "/home/" + users[raw]}, p.Name)
	}
	assert.Equal(t, map[string]string{"alice": "alice", "alice.smith": "alice.smith", "user-1": "user-1", "Alice": "Alice",
		"alice@x.org": "alice", "alice@other.org": "", "123abc": "", "alice_s": ""}, users)
}

// TestHubProbes tests that the probes request a path below JUPYTERHUB_SERVICE_PREFIX, at the port of the notebook
// container. If the hub uses TLS with client certificates, the probes only connect to the port.
func TestHubProbes(t *testing.T) {
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

// TestHubPodOpensOutsideImageHome tests that the working directory, the command and notebook_dir are not in the home of the
// image's user. The user of the Pod could not open this home.
func TestHubPodOpensOutsideImageHome(t *testing.T) {
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

// TestHubFSGroupWarning tests that the webhook removes fsGroup. If the Pod has an fsGroup and volumes with a claim, a
// warning names each of these volumes. Otherwise there is no warning about fsGroup.
func TestHubFSGroupWarning(t *testing.T) {
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

// TestHubOptionsDoNotChangeUser tests that KubeSpawner's options such as uid, gid and privileged have no effect on the
// security context.
func TestHubOptionsDoNotChangeUser(t *testing.T) {
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

// TestHubDenials tests which cases of KubeSpawner 7 the webhook denies, and the reason of each denial.
func TestHubDenials(t *testing.T) {
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
		"storage-at-the-users-home":               "MountTaken",
		"storage-extra-volume-in-jovyan-at-start": "MountNested",
		"extra-files-in-jovyan-at-start":          "MountNested",
	}, reasons)
}

// TestKubeSpawnerVersions tests that a case has the same denials with KubeSpawner 6 and 7.
func TestKubeSpawnerVersions(t *testing.T) {
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
