package property

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// otherChanges are changes as other webhooks make them. Each change is idempotent.
var otherChanges = []func(*corev1.Pod){
	func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"pool": "gpu"} },
	func(p *corev1.Pod) {
		metav1.SetMetaDataLabel(&p.ObjectMeta, "second", "yes")
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, "example.com/second", "yes")
	},
	func(p *corev1.Pod) {
		sidecar := corev1.Container{Name: "sidecar", Image: "sidecar"}
		if !slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.Name == sidecar.Name }) {
			p.Spec.Containers = append(p.Spec.Containers, sidecar)
		}
	},
	func(p *corev1.Pod) {
		variable := corev1.EnvVar{Name: "PROXY", Value: "x"}
		for i := range p.Spec.Containers {
			if c := &p.Spec.Containers[i]; !slices.Contains(c.Env, variable) {
				c.Env = append(c.Env, variable)
			}
		}
	},
	func(p *corev1.Pod) {
		mount := corev1.VolumeMount{Name: "certificates", MountPath: "/etc/second"}
		if !slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: mount.Name, VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{}}})
			for i := range p.Spec.Containers {
				p.Spec.Containers[i].VolumeMounts = append(p.Spec.Containers[i].VolumeMounts, mount)
			}
		}
	},
}

// TestRandomPodsWithSecondWebhook calls our webhook and another webhook on random Pods, in both orders. After two calls of
// our webhook, no further call of our webhook changes the Pod, even if the other webhook is called again.
func TestRandomPodsWithSecondWebhook(t *testing.T) {
	t.Parallel()
	each := 500
	if os.Getenv("CHAOS") != "" { // `make chaos` sets CHAOS. 5,000 Pods with each discovery take half a minute.
		each = 5000
	}
	settled := 0
	for _, condition := range conditions() {
		for seed := range int64(each) {
			raw := marshal(t, newGenerator(seed, 0.7).craftedPod())
			if len(condition.Decide(raw).Denials) > 0 {
				continue
			}
			second := otherChanges[seed%int64(len(otherChanges))]
			before := changed(t, raw, second)
			if len(condition.Decide(before).Denials) > 0 {
				continue // The Pod with the other webhook's change is denied anyway.
			}
			for order, pod := range map[string][]byte{
				"ours first":  changed(t, admit(t, condition, raw), second),
				"ours second": admit(t, condition, before),
			} {
				again := admit(t, condition, pod)
				assert.Equal(t, string(again), string(admit(t, condition, again)), "%s: the second patch is empty", order)
				theirs := changed(t, again, second)
				assert.Empty(t, condition.Decide(theirs).Operations, "%s: the other webhook has changed nothing of ours", order)
				assert.Equal(t, string(changed(t, again, func(*corev1.Pod) {})), string(theirs), "%s: the other webhook's change is still there", order)
				settled++
			}
			if t.Failed() {
				t.Fatalf("%s, seed %d:\n%s", condition.Name, seed, raw)
			}
		}
	}
	assert.Greater(t, settled, each/10, "enough Pods must be admitted in both orders")
	t.Logf("%d random Pods with each discovery; with both: %d unchanged at the end in both orders", each, settled/2)
}
