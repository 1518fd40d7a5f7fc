package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestPodsWithTheShare tests which Pods with a claim of the share are reported. A Pod that has ended does not have it any more.
func TestPodsWithTheShare(t *testing.T) {
	none := Finding{Status: OK, Message: "no Pod has a claim of the share, except notebooks and programs that may (run-as on shares)"}
	labels := map[string]string{"jupyter-user": "alice"}
	for name, c := range map[string]struct {
		change   func(*corev1.Pod)
		reported bool
	}{
		"an old Pod":                    {func(*corev1.Pod) {}, true},
		"a further claim":               {func(p *corev1.Pod) { p.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "scratch" }, true},
		"another claim":                 {func(p *corev1.Pod) { p.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "mine" }, false},
		"a Pod that has ended":          {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false},
		"a Pod that waits":              {func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, true},
		"a backup":                      {func(p *corev1.Pod) { p.Spec.ServiceAccountName = "backup" }, false},
		"a backup of another namespace": {func(p *corev1.Pod) { p.Spec.ServiceAccountName, p.Namespace = "backup", "web" }, true},
		"a label without injection":     {func(p *corev1.Pod) { p.Labels = labels }, true},
		"annotations without a label":   {func(p *corev1.Pod) { p.Annotations = map[string]string{"jupyter-user.io/config": "x"} }, true},
		"a notebook": {func(p *corev1.Pod) {
			p.Labels, p.Annotations = labels, map[string]string{"jupyter-user.io/config": "x"}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := clusterWithBinding("lab", subject("ServiceAccount", "lab", "backup"), rule(shares, runAs))
			s.config, s.parameters = config.Default(), map[string]string{"claims": "hpc-shared-pvc scratch"}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "p"}, Spec: corev1.PodSpec{ServiceAccountName: "default",
				Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
					ClaimName: "hpc-shared-pvc"}}}}}}
			c.change(pod)
			s.pods = []podFacts{factsOf(pod)}
			found := sharePods(t.Context(), s)
			if !c.reported {
				assert.Equal(t, []Finding{none}, found)
				return
			}
			assertOneFinding(t, found, Warning, "Pods "+pod.Namespace+"/p: have a claim of the share and are no notebooks, so they see every home")
		})
	}
}
