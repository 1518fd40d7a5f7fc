package property

import (
	"cmp"
	"encoding/json"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"
)

// A generator makes random Pods from a seed. The same seed gives the same Pods, so that a failure can be repeated.
type generator struct {
	*rand.Rand
	fill *randfill.Filler
}

func newGenerator(seed int64, nilChance float64) *generator {
	g := &generator{Rand: rand.New(rand.NewSource(seed))}
	g.fill = randfill.NewWithSeed(seed).NilChance(nilChance).NumElements(1, 2).MaxDepth(30).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63n(1<<40), resource.BinarySI)
		},
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(c.Int63n(1<<31), 0).Rfc3339Copy() },
		func(f *metav1.FieldsV1, _ randfill.Continue) { f.SetRawString(`{"f:x":{}}`) },
		func(v *intstr.IntOrString, c randfill.Continue) { *v = intstr.FromInt32(c.Int31n(65536)) },
	)
	return g
}

// anyPod returns a Pod with alice's label and with random values in any field of the Pod type. The exceptions are three
// fields for which the webhook can deny a Pod: spec.os and spec.hostUsers are unset, and hostProcess is never true.
func (g *generator) anyPod() *corev1.Pod {
	pod := &corev1.Pod{}
	g.fill.Fill(pod)
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	if len(pod.Spec.Containers) == 0 {
		pod.Spec.Containers = []corev1.Container{{Name: "c"}}
	}
	pod.Spec.OS, pod.Spec.HostUsers = nil, nil
	withoutHostProcesses(pod)
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			containers[i].Name = cmp.Or(containers[i].Name, "c")
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		pod.Spec.EphemeralContainers[i].Name = cmp.Or(pod.Spec.EphemeralContainers[i].Name, "c")
	}
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels["jupyter-user"] = "alice"
	return pod
}

// withoutHostProcesses sets hostProcess to false in all security contexts. The webhook denies a Pod with hostProcess: true,
// because only Windows has host processes.
func withoutHostProcesses(pod *corev1.Pod) {
	off := func(windows *corev1.WindowsSecurityContextOptions) {
		if windows != nil {
			windows.HostProcess = new(false)
		}
	}
	if c := pod.Spec.SecurityContext; c != nil {
		off(c.WindowsOptions)
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if c := containers[i].SecurityContext; c != nil {
				off(c.WindowsOptions)
			}
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if c := pod.Spec.EphemeralContainers[i].SecurityContext; c != nil {
			off(c.WindowsOptions)
		}
	}
}

// craftedPod returns a random Pod with names and paths that the webhook uses, and with similar ones.
func (g *generator) craftedPod() *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{"jupyter-user": "alice"}},
	}
	if g.Intn(4) == 0 {
		pod.Annotations = map[string]string{pick(g, "jupyter-user.io/user", "jupyter-user.io/identity", "jupyter-user.io/discovery",
			"jupyter-user.io/config", "jupyter-user.io/probes", "jupyter-user.io/account-files", "jupyter-user.io/container",
			"jupyter-user.io/home-in", "jupyter-user.io/home-in", "example.com/x"): pick(g, "alice", "bob", "0:0", "on", "off", "c0", "",
			"c1", "i0,c0", "c1, i1")}
	}
	for range g.Intn(4) {
		pod.Spec.Volumes = append(pod.Spec.Volumes, g.volume())
	}
	for range g.Intn(3) {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, g.container(pick(g, "i0", "i1", "jupyter-user-init")))
	}
	for range 1 + g.Intn(3) {
		pod.Spec.Containers = append(pod.Spec.Containers,
			g.container(pick(g, "c0", "c1", "c2", "notebook", "jupyterlab", "notebook", "jupyter-user-init")))
	}
	if g.Intn(3) == 0 {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
		g.fill.Fill(pod.Spec.SecurityContext)
		if g.Intn(2) == 0 {
			pod.Spec.SecurityContext.SupplementalGroups = nil
		}
	}
	return pod
}

func (g *generator) volume() corev1.Volume {
	v := corev1.Volume{Name: pick(g, "data", "more", "hpc-shared-volume", "uid-gid-config", "kube-api-access-x")}
	switch g.Intn(5) {
	case 0:
		v.HostPath = &corev1.HostPathVolumeSource{Path: "/srv"}
	case 1:
		v.EmptyDir = &corev1.EmptyDirVolumeSource{Medium: pick(g, corev1.StorageMediumDefault, corev1.StorageMediumMemory)}
	default:
		v.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{
			ClaimName: pick(g, "hpc-shared-pvc", "hpc-shared-pvc", "mine"), ReadOnly: g.Intn(4) == 0}
	}
	return v
}

func (g *generator) container(name string) corev1.Container {
	c := corev1.Container{Name: name, Image: pick(g, "x", "jupyter-user-webhook:v0.2.0")}
	if g.Intn(2) == 0 {
		c.Command = pick(g, []string{"sleep", "1"}, []string{"/config/jupyter-user-init", "exec", "--user=bob", "--", "id"},
			[]string{"/config/jupyter-user-init", "exec", "--user=bob", "--home=/home/bob", "--scratch=/x", "--working-dir=$$X", "--", "id"},
			[]string{"/jupyter-user-init"}, []string{"tini", "--", "jupyter", "lab", "--port=$(P)"})
	}
	if g.Intn(2) == 0 {
		c.Args = pick(g, []string{"jupyterhub-singleuser"}, []string{"--port", "1"}, []string{"discover", "--user=bob"}, []string{"--"})
	}
	c.WorkingDir = pick(g, "", "", "/", "/w")
	for range g.Intn(6) {
		c.Env = append(c.Env, corev1.EnvVar{
			Name:  pick(g, "A", "HOME", "HOME", "NB_UID", "NB_USER", "NB_GID", "JUPYTER_ENABLE_LAB", "JUPYTER_CONFIG_PATH", "XDG_DATA_HOME"),
			Value: pick(g, "", "alice", "/home/alice", "0", "/home/jovyan/.data")})
	}
	if g.Intn(2) == 0 {
		c.VolumeMounts = append(c.VolumeMounts, g.mount())
	}
	if g.Intn(3) == 0 {
		c.SecurityContext = &corev1.SecurityContext{}
		g.fill.Fill(c.SecurityContext)
	}
	if g.Intn(4) == 0 {
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"bye"}}}}
		c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}}}
	}
	return c
}

func (g *generator) mount() corev1.VolumeMount {
	return corev1.VolumeMount{
		Name: pick(g, "data", "data", "more", "hpc-shared-volume", "uid-gid-config"),
		MountPath: pick(g, "/data/hpc/home/alice", "/home/alice", "/home//alice/", "/home/alice/x", "/config", "/config/../config/p",
			"/etc/passwd", "/x", "/data/hpc", "/var/run/secrets/kubernetes.io/serviceaccount", "/var/run/secrets/y",
			"/var/run/secrets/y/z", "/proc/self/root/config", "/x/y"),
		SubPath:  pick(g, "", "", "home/alice", "home/bob", "home"),
		ReadOnly: g.Intn(2) == 0,
	}
}

func pick[T any](g *generator, choices ...T) T { return choices[g.Intn(len(choices))] }

func marshal(t *testing.T, pod *corev1.Pod) []byte {
	t.Helper()
	raw, err := json.Marshal(pod)
	require.NoError(t, err)
	return raw
}
