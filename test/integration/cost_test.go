package integration

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// longestValues returns chart values with lists of the greatest length that the chart allows.
func longestValues() string {
	list := func(count int, word string) string {
		words := make([]string, count)
		for i := range words {
			words[i] = fmt.Sprintf(word, i)
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	long := strings.Repeat("d/", 100)
	return "{share: {hostPaths: " + list(32, "/srv/"+long+"%d") + ", csiDrivers: " + list(32, "d%d.csi.example.com") + ", otherNFSServers: " +
		list(32, "nfs%d.example.com") + ", volumeNames: " + list(32, "volume-%d-*") + ", directoryVolumeNames: {" +
		strings.Trim(list(8, "claim-%d: "+list(4, "further-%d-*")), "[]") + "]}}, access: {controllers: " +
		list(32, "system:serviceaccount:argocd:controller-%d") + ", schedulers: " + list(32, "system:serviceaccount:volcano-system:scheduler-%d") +
		"}, image: {accepted: " + list(16, "registry.example.com/mirror:v%d") +
		"}, config: {init: {acceptedImages: " + list(16, "registry.example.com/other:v%d") + "}, share: {directories: " + strings.TrimSuffix(list(8, "{subPath: data/%[1]d, mountPath: /data/%[1]d, access: ReadOnly}"), "]") + ", " +
		strings.TrimPrefix(list(8, "{claimName: claim-%[1]d, subPath: data, mountPath: /further/%[1]d, access: ReadOnly}"), "[") + "}, user: {hubComponents: " +
		list(16, "component-%d") + "}}}"
}

// TestCostOfLargePods tests the cost of the policies. The API server limits the cost of a CEL expression, and denies a
// request that exceeds this limit. With longestValues, and with about the largest Pods that the policies check, no expression
// exceeds the limit.
func TestCostOfLargePods(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, longestValues())})
	for _, user := range []string{"alice", "qiang.guo03"} {
		assert.NoError(t, create(t.Context(), g.carol, "lab", injected(t, user, fillPod)))
	}
	path := "/" + strings.Repeat("x/./", 127)
	for kind, source := range map[string]corev1.VolumeSource{
		"emptyDir":  {EmptyDir: &corev1.EmptyDirVolumeSource{}},
		"hostPath":  hostPath(path),
		"claim":     {PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "mine"}},
		"csi":       {CSI: &corev1.CSIVolumeSource{Driver: "inline." + strings.Repeat("d", 50)}},
		"ephemeral": {Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim(copyOther).Spec}}},
		"nfs":       {NFS: &corev1.NFSVolumeSource{Server: "nfs31.example.com", Path: "/"}},
	} {
		t.Run(kind, func(t *testing.T) {
			pod := plainPod()
			for i := range 499 { // The API server adds one more, with the token.
				pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("v%d", i), VolumeSource: source})
			}
			pod.Spec.Containers = append(pod.Spec.Containers, moreContainers("c", 198)...)
			assert.NoError(t, create(t.Context(), g.bob, "open", pod), "a Pod that is no notebook")
			kept, err := g.bob.CoreV1().Pods("open").Create(t.Context(), pod, metav1.CreateOptions{})
			require.NoError(t, err)
			kept.Spec.Containers[0].Image = "newer"
			kept, err = g.bob.CoreV1().Pods("open").Update(t.Context(), kept, metav1.UpdateOptions{})
			require.NoError(t, err, "its image is changed")
			added := debugger()
			added.TargetContainerName = ""
			kept.Spec.EphemeralContainers = []corev1.EphemeralContainer{added}
			_, err = g.bob.CoreV1().Pods("open").UpdateEphemeralContainers(t.Context(), kept.Name, kept, metav1.UpdateOptions{})
			assert.NoError(t, err, "kubectl debug")
		})
	}
}

func copyOther(c *corev1.PersistentVolumeClaim) {
	c.Spec.VolumeName = "other-" + strings.Repeat("v", 200)
	c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: strings.Repeat("o", 200)}
}

// fillPod adds almost as many volumes and containers as a notebook may have, so that those of the webhook still fit.
func fillPod(pod *corev1.Pod) {
	for i := range 490 {
		name := fmt.Sprintf("v%d", i)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name})
		mount := corev1.VolumeMount{Name: name, MountPath: "/mnt/a/b/c/d/e/" + name}
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, mount)
		if i < 95 {
			beside := corev1.Container{Name: "c" + name, Image: "x", VolumeMounts: []corev1.VolumeMount{mount, mount}}
			beside.VolumeMounts[1].MountPath += "-2"
			pod.Spec.Containers = append(pod.Spec.Containers, beside)
			beside.Name = "i" + name
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, beside)
		}
	}
}

// TestCostOfLongLists tests that the policies and match conditions add less than 3 s of processor time to the creation of a
// Pod with a very long list or map. Without the environment variable CPU, the test tries only 20,000 annotations and 20,000
// volumes.
func TestCostOfLongLists(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: shippedPolicies(t), Webhooks: []string{"../../deploy/install.yaml"}})
	grow := growFuncs()
	sizes := []int{1000, 5000, 20000}
	if os.Getenv("CPU") == "" {
		grow, sizes = map[string]func(*corev1.Pod, int){"annotations": grow["annotations"], "volumes": grow["volumes"]}, []int{20000}
	}
	with := g.costs(t, grow, sizes)
	for _, kind := range []string{"validatingadmissionpolicybindings", "validatingwebhookconfigurations", "mutatingwebhookconfigurations"} {
		require.NoError(t, g.Admin.Do(t.Context(), "", "delete", kind, "-l", "app.kubernetes.io/name=jupyter-user-webhook"))
	}
	require.NoError(t, g.AwaitPolicies(t.Context()))
	without := g.costs(t, grow, sizes)
	for what, seconds := range with {
		t.Logf("%-24s %6.2f s with, %6.2f s without", what, seconds.Seconds(), without[what].Seconds())
		assert.Less(t, seconds, without[what]+3*time.Second, what)
	}
}

// growFuncs returns functions that make a list or a map of a Pod longer.
func growFuncs() map[string]func(*corev1.Pod, int) {
	each := func(n int, add func(name string)) {
		for i := range n {
			add(fmt.Sprintf("a%d", i))
		}
	}
	return map[string]func(*corev1.Pod, int){
		"annotations": func(pod *corev1.Pod, n int) {
			pod.Annotations = map[string]string{}
			each(n, func(name string) { pod.Annotations[name] = "" })
		},
		"labels": func(pod *corev1.Pod, n int) {
			pod.Labels = map[string]string{}
			each(n, func(name string) { pod.Labels[name] = "" })
		},
		"volumes": func(pod *corev1.Pod, n int) {
			each(n, func(name string) { pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name}) })
		},
		"containers": func(pod *corev1.Pod, n int) {
			each(n, func(name string) {
				pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: "x"})
			})
		},
		"initContainers": func(pod *corev1.Pod, n int) {
			each(n, func(name string) {
				pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: name, Image: "x"})
			})
		},
		"mounts": func(pod *corev1.Pod, n int) {
			pod.Spec.Volumes = []corev1.Volume{{Name: "v"}}
			each(n, func(name string) {
				pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "v", MountPath: "/" + name})
			})
		},
		"env": func(pod *corev1.Pod, n int) {
			each(n, func(name string) {
				pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: name})
			})
		},
		"notebook's mounts": func(pod *corev1.Pod, n int) {
			pod.Labels = map[string]string{"jupyter-user": "alice"}
			pod.Spec.Volumes = []corev1.Volume{{Name: "v"}}
			each(n, func(name string) {
				pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "v", MountPath: "/" + name})
			})
		},
	}
}

// costs returns the API server's processor time for a dry run with each Pod, by the length and the name of the list. The
// API server may also deny the Pod.
func (g *guarded) costs(t *testing.T, grow map[string]func(*corev1.Pod, int), sizes []int) map[string]time.Duration {
	t.Helper()
	found := map[string]time.Duration{}
	for what, grow := range grow {
		for _, n := range sizes {
			pod := plainPod()
			grow(pod, n)
			before := g.cpu(t)
			err := create(t.Context(), g.bob, "open", pod)
			found[fmt.Sprintf("%d %s", n, what)] = g.cpu(t) - before
			if err != nil {
				t.Logf("%d %s: %.150s", n, what, err)
			}
		}
	}
	return found
}

// cpu returns the processor time that the API server has used.
func (g *guarded) cpu(t *testing.T) time.Duration {
	t.Helper()
	at, err := url.Parse(g.Admin.Config.Host)
	require.NoError(t, err)
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range processes {
		command, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(command), "kube-apiserver") || !strings.Contains(string(command), "--secure-port="+at.Port()) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(file), "stat"))
		require.NoError(t, err)
		fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")"):]))
		var ticks int64
		for _, field := range fields[12:14] { // utime and stime are the 12th and 13th field after the name of the program.
			n, err := strconv.ParseInt(field, 10, 64)
			require.NoError(t, err)
			ticks += n
		}
		return time.Duration(ticks) * 10 * time.Millisecond
	}
	t.Skip("skipped: the API server's process is not visible here")
	return 0
}
