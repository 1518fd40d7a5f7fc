package e2e

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// debugContainer returns the ephemeral container that kubectl debug --profile=restricted --target=debugged adds. This
// container shares the process namespace of the container called debugged, which is the notebook container in these tests.
func debugContainer(image string, command ...string) corev1.EphemeralContainer {
	return corev1.EphemeralContainer{
		TargetContainerName: "debugged",
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger", Image: image, Command: command,
			SecurityContext: &corev1.SecurityContext{
				RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
				Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
}

// debug adds the ephemeral container c to the Pod as the requester, and returns the API server's error.
func (p pod) debug(t *testing.T, requester *controlplane.User, c corev1.EphemeralContainer) error {
	t.Helper()
	client, err := kubernetes.NewForConfig(requester.Config)
	require.NoError(t, err)
	patch, err := json.Marshal(corev1.Pod{Spec: corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{c}}})
	require.NoError(t, err)
	_, err = client.CoreV1().Pods(p.namespace).Patch(t.Context(), p.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{},
		"ephemeralcontainers")
	return err
}

// debugOutput waits until an ephemeral container has ended, and returns its output.
func (p pod) debugOutput(t *testing.T, name string) string {
	t.Helper()
	p.await(t, readyLimit, "to have ended its debug container "+name, func(pod *corev1.Pod) bool {
		return debugState(pod, name).Terminated != nil
	})
	result := kubectl(t, "logs", p.name, "-n", p.namespace, "-c", name)
	require.Zero(t, result.ExitCode, result.Stderr)
	return result.Stdout
}

func debugState(pod *corev1.Pod, name string) corev1.ContainerState {
	for _, status := range pod.Status.EphemeralContainerStatuses {
		if status.Name == name {
			return status.State
		}
	}
	return corev1.ContainerState{}
}

// TestDebugDenied tests that a debug container is denied if the requester may not use the home. It is also denied with
// another UID, with more privileges, with a mount of the share or of the scratch volume, or with the init container as its
// target. kubectl debug --copy-to is denied if the requester may not use the home, or if the copy of the Pod lacks the
// labels or shares processes.
func TestDebugDenied(t *testing.T) {
	mount := func(name string) func(*corev1.EphemeralContainer) {
		return func(c *corev1.EphemeralContainer) {
			c.VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: "/mnt"}}
		}
	}
	for _, discovery := range discoveries {
		p := run(t, discovery, "debugged", "alice", images.Plain, "--command", "--", "hello")
		for name, c := range map[string]struct {
			requester *controlplane.User
			change    func(*corev1.EphemeralContainer)
			want      string
		}{
			"no access to the home": {cluster.bob, func(*corev1.EphemeralContainer) {},
				"NoAccess: spec.ephemeralContainers: bob may not use the home of alice in namespace " + discovery.namespace},
			"another UID": {cluster.carol, func(c *corev1.EphemeralContainer) { c.SecurityContext.RunAsUser = new(int64(5002)) }, "DebugIdentity"},
			"privileged": {cluster.carol, func(c *corev1.EphemeralContainer) {
				c.SecurityContext.Privileged, c.SecurityContext.AllowPrivilegeEscalation = new(true), nil
			}, `violates PodSecurity "` + discovery.level},
			"default capabilities": {cluster.carol, func(c *corev1.EphemeralContainer) {
				c.SecurityContext.Capabilities.Drop = nil
			}, discovery.choose("DebugPrivileged", `violates PodSecurity "restricted`)},
			"the share":               {cluster.carol, mount("hpc-shared-volume"), "MountForeign"},
			"the scratch volume":      {cluster.carol, mount("uid-gid-config"), "MountForeign"},
			"into the init container": {cluster.carol, func(c *corev1.EphemeralContainer) { c.TargetContainerName = "jupyter-user-init" }, "InitClosed"},
		} {
			t.Run(name+"/"+discovery.name, func(t *testing.T) {
				added := debugContainer(images.Plain, "true")
				c.change(&added)
				assert.ErrorContains(t, p.debug(t, c.requester, added), c.want)
			})
		}
		for name, c := range map[string]struct {
			requester *controlplane.User
			arguments []string
			want      string
		}{
			"kubectl debug with its default profile": {cluster.carol, []string{"--target=debugged"}, `must not include "SYS_PTRACE"`},
			"kubectl debug with profile baseline": {cluster.carol, []string{"--target=debugged", "--profile=baseline"},
				discovery.choose("use kubectl debug --profile=restricted", `violates PodSecurity "restricted`)},
			"a copy of the pod": {cluster.carol, []string{"--copy-to=copy", "--profile=restricted"}, "ShareMounted"},
			"a copy with its labels": {cluster.bob, []string{"--copy-to=copy", "--profile=restricted", "--keep-labels", "--keep-annotations",
				"--share-processes=false"}, "NoAccess"},
			"a copy that shares processes": {cluster.carol, []string{"--copy-to=copy", "--profile=restricted", "--keep-labels",
				"--keep-annotations"}, "HostShared"},
		} {
			t.Run(name+"/"+discovery.name, func(t *testing.T) {
				result := kubectlAs(t, c.requester, append([]string{"debug", p.name, "-n", p.namespace, "--image=" + images.Plain},
					c.arguments...)...)
				assertDenied(t, result, c.want)
			})
		}
	}
}

// inspectAlice is a Python script for a debug container. It prints the identity of the debug container, and whether the
// notebook's process and home are visible.
const inspectAlice = `
import os
print(os.getuid(), os.getgid(), os.getgroups(), "sees the notebook:", b"hello" in open("/proc/1/cmdline", "rb").read())
try:
    print("in the home:", *[name for name in os.listdir("/proc/1/root/home/alice") if name == "relative"])
except OSError as error:
    print("the home:", error.strerror)
`

// TestDebug tests that with discovery at admission, a requester who may use the home can add a debug container with the UID
// and GID of the notebook, and that this container runs as the user. A debug container with another GID, or without a UID,
// is denied. With discovery at start the UID is not known at admission, so a debug container is denied even with the right
// UID.
func TestDebug(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, discovery, "debugged", "alice", images.Plain, withProbes, "--command", "--", "hello")
			p.ready(t)
			own := debugContainer(images.Plain, "/usr/bin/python3", "-c", inspectAlice+attackWithPath(t))
			own.Name, own.Env = "user", []corev1.EnvVar{{Name: "LD_PRELOAD"}}
			own.SecurityContext.RunAsUser, own.SecurityContext.RunAsGroup = new(int64(5001)), new(int64(6001))
			if discovery != atAdmission {
				require.ErrorContains(t, p.debug(t, cluster.carol, own), "DebugIdentity: ")
				return
			}
			require.NoError(t, p.debug(t, cluster.carol, own))

			other := own
			other.Name, other.SecurityContext = "group", own.SecurityContext.DeepCopy()
			other.SecurityContext.RunAsGroup = new(int64(6002))
			require.ErrorContains(t, p.debug(t, cluster.carol, other), "DebugIdentity: ")

			result := kubectl(t, "debug", p.name, "-n", p.namespace, "--image="+images.DockerStacks, "--profile=restricted",
				"--target=debugged", "--container=nobody", "--", "true")
			assertDenied(t, result, "DebugIdentity: ")

			t.Run("access to the home, and the notebook's UID and GID", func(t *testing.T) {
				assert.Equal(t, "5001 6001 [6001] sees the notebook: True\nin the home: relative\ndone\n", p.debugOutput(t, "user"))
			})
		})
	}
}
