package check

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestPodsWithTheShare tests which Pods with a claim of the share are reported.
func TestPodsWithTheShare(t *testing.T) {
	none := Finding{Status: OK, Message: "no Pod has a claim of the share, except notebooks and programs that may (run-as on shares)"}
	labels, guarded := map[string]string{"jupyter-user": "alice"}, time.Now()
	binding := unstructured.Unstructured{}
	binding.SetName("share.jupyter-user.io")
	binding.SetCreationTimestamp(metav1.NewTime(guarded))
	marked := func(p *corev1.Pod) {
		p.Labels, p.Annotations = labels, map[string]string{"jupyter-user.io/config": "x"}
	}
	for name, c := range map[string]struct {
		change   func(*corev1.Pod)
		reported bool
		state    func(*state)
	}{
		"an old Pod":                             {func(*corev1.Pod) {}, true, nil},
		"a further claim":                        {func(p *corev1.Pod) { p.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "scratch" }, true, nil},
		"another claim":                          {func(p *corev1.Pod) { p.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "mine" }, false, nil},
		"a Pod that has ended":                   {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false, nil},
		"a Pod that waits":                       {func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, true, nil},
		"a backup":                               {func(p *corev1.Pod) { p.Spec.ServiceAccountName = "backup" }, false, nil},
		"a backup of another namespace":          {func(p *corev1.Pod) { p.Spec.ServiceAccountName, p.Namespace = "backup", "web" }, true, nil},
		"a label without injection":              {func(p *corev1.Pod) { p.Labels = labels }, true, nil},
		"annotations without a label":            {func(p *corev1.Pod) { p.Annotations = map[string]string{"jupyter-user.io/config": "x"} }, true, nil},
		"a notebook":                             {change: marked},
		"annotations by hand without the policy": {marked, true, func(s *state) { s.installed[bindings].Items = nil }},
		"annotations by hand in Warn mode":       {marked, true, func(s *state) { s.config.Mode = config.ModeWarn }},
		"annotations by hand in a namespace that is left out": {marked, true, func(s *state) { s.parameters["onlyNamespaces"] = "jhub" }},
		"a notebook in a namespace that is listed":            {marked, false, func(s *state) { s.parameters["onlyNamespaces"] = "jhub lab" }},
		"a notebook that is older than the policies": {func(p *corev1.Pod) {
			marked(p)
			p.CreationTimestamp = metav1.NewTime(guarded.Add(-time.Minute))
		}, true, nil},
		"a backup by a right of all ServiceAccounts of its namespace": {func(p *corev1.Pod) { p.Namespace = "group" }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := clusterWithBinding("lab", subject("ServiceAccount", "lab", "backup"), rule(shares, runAs))
			s.config, s.parameters = config.Default(), map[string]string{"claims": "hpc-shared-pvc scratch"}
			s.installed = map[string]*unstructured.UnstructuredList{bindings: {Items: []unstructured.Unstructured{binding}}}
			s.clusterRoleBindings.Items = []rbacv1.ClusterRoleBinding{{ObjectMeta: metav1.ObjectMeta{Name: "g"},
				RoleRef:  rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"},
				Subjects: []rbacv1.Subject{subject("Group", "", "system:serviceaccounts:group")}}}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "p", CreationTimestamp: metav1.NewTime(guarded)}, Spec: corev1.PodSpec{ServiceAccountName: "default",
				Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
					ClaimName: "hpc-shared-pvc"}}}}}}
			c.change(pod)
			s.pods = []podFacts{factsOf(pod)}
			if c.state != nil {
				c.state(s)
			}
			found := sharePods(t.Context(), s)
			if !c.reported {
				assert.Equal(t, []Finding{none}, found)
				return
			}
			assertOneFinding(t, found, Warning, fmt.Sprintf("Pods %s/p (%s): have a claim of the share, and no policy has checked them",
				pod.Namespace, pod.CreationTimestamp.UTC().Format(time.RFC3339)))
		})
	}
}

// TestNewestPodsFirst tests that of many Pods the newest are named, with their times.
func TestNewestPodsFirst(t *testing.T) {
	s := &state{config: config.Default(), parameters: map[string]string{"claims": "hpc-shared-pvc"}, installed: map[string]*unstructured.UnstructuredList{bindings: {}}}
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for i := range 60 {
		s.pods = append(s.pods, podFacts{namespace: "lab", name: fmt.Sprint("p", i), created: noon.Add(time.Duration(i) * time.Minute),
			claims: []string{"hpc-shared-pvc"}})
	}
	found := sharePods(t.Context(), s)
	assertOneFinding(t, found, Warning, "Pods lab/p59 (2026-11-30T12:59:00Z), lab/p58 (2026-11-30T12:58:00Z), ")
	assert.True(t, strings.HasSuffix(found[0].Where, "lab/p45 (2026-11-30T12:45:00Z) and 45 more"), found[0].Where)
}
