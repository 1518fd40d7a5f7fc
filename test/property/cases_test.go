package property

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// admit returns the Pod as the webhook admits it.
func admit(t *testing.T, condition golden.Case, document []byte) []byte {
	t.Helper()
	d := condition.Decide(document)
	require.Empty(t, d.Denials)
	admitted, err := pod.Apply(document, d.Operations)
	require.NoError(t, err)
	return admitted
}

const bare = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},` +
	`"spec":{"containers":[{"name":"nb","image":"notebook"}]}}`

// TestRepeatedInjection tests that a second and a third call of the webhook leave a golden Pod as it is, byte for byte.
func TestRepeatedInjection(t *testing.T) {
	t.Parallel()
	cases, err := golden.Cases()
	require.NoError(t, err)
	for _, c := range cases {
		if len(c.Decide(c.JSON).Denials) > 0 {
			continue
		}
		once := admit(t, c, c.JSON)
		twice := admit(t, c, once)
		assert.Equal(t, string(once), string(twice), c.Name)
		assert.Equal(t, string(once), string(admit(t, c, twice)), c.Name)
	}
}

// TestInjectionAfterOtherWebhook changes an admitted Pod as another webhook would. A second call of our webhook corrects
// the injected fields and keeps the other changes.
func TestInjectionAfterOtherWebhook(t *testing.T) {
	t.Parallel()
	always := corev1.ContainerRestartPolicyAlways
	proxy := corev1.Container{Name: "proxy", Image: "proxy"}
	keptChanges := map[string]func(*corev1.Pod){
		"added a sidecar":        func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, proxy) },
		"put a sidecar in front": func(p *corev1.Pod) { p.Spec.Containers = append([]corev1.Container{proxy}, p.Spec.Containers...) },
		"renamed the pod":        func(p *corev1.Pod) { p.Name = "other" },
		"set defaults": func(p *corev1.Pod) {
			p.Spec.DNSPolicy, p.Spec.SchedulerName = corev1.DNSClusterFirst, "default-scheduler"
		},
		"added a native sidecar": func(p *corev1.Pod) {
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "n", RestartPolicy: &always})
		},
		"gave our init container CPU": func(p *corev1.Pod) {
			p.Spec.InitContainers[0].Resources.Limits = corev1.ResourceList{"cpu": *newQuantity()}
		},
	}
	correctedChanges := map[string]func(*corev1.Pod){
		"changed our init container's image":   func(p *corev1.Pod) { p.Spec.InitContainers[0].Image = "evil" },
		"changed our init container's command": func(p *corev1.Pod) { p.Spec.InitContainers[0].Command = []string{"sh"} },
		"moved our init container": func(p *corev1.Pod) {
			p.Spec.InitContainers = append([]corev1.Container{{Name: "first"}}, p.Spec.InitContainers...)
		},
		"gave the notebook privileges": func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext.Privileged = new(true) },
	}
	for _, condition := range conditions() {
		once := admit(t, condition, []byte(bare))
		for does, change := range keptChanges {
			t.Run(condition.Name+"/"+does, func(t *testing.T) {
				changed := changed(t, once, change)
				assert.Equal(t, string(changed), string(admit(t, condition, changed)), "byte-identical")
			})
		}
		for does, change := range correctedChanges {
			t.Run(condition.Name+"/"+does, func(t *testing.T) {
				again := admit(t, condition, changed(t, once, change))
				pod := &corev1.Pod{}
				require.NoError(t, json.Unmarshal(again, pod))
				checkInjected(t, condition, pod)
				assert.Empty(t, condition.Decide(again).Operations)
			})
		}
	}
}

func newQuantity() *resource.Quantity { return resource.NewQuantity(1, resource.DecimalSI) }

// The function "changed" changes a Pod like most webhooks: it decodes the Pod into the typed API, changes the typed Pod, and
// encodes the whole Pod.
func changed(t *testing.T, raw []byte, change func(*corev1.Pod)) []byte {
	t.Helper()
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(raw, pod))
	change(pod)
	return marshal(t, pod)
}

// TestUnknownFieldsAtEveryLevel adds unknown fields at every level of a Pod in which almost every field is set. The
// webhook must keep them, also in the Pod's own init containers, before which the webhook inserts one.
func TestUnknownFieldsAtEveryLevel(t *testing.T) {
	t.Parallel()
	for _, condition := range conditions() {
		pod := newGenerator(1, 0).anyPod()
		pod.Spec.SecurityContext.SupplementalGroups = nil
		pod.Annotations = nil
		var document any
		require.NoError(t, json.Unmarshal(marshal(t, pod), &document))
		added := addUnknownFields(document)
		require.Greater(t, added, 200, "objects")
		raw, err := json.Marshal(document)
		require.NoError(t, err)
		require.True(t, testProperties(t, condition, raw), "admitted, and lossless")
	}
}

// TestUnknownFieldsOfGoldenPods adds unknown fields to each object of the golden Pods, whose variables, probes and containers
// lead the webhook to more changes.
func TestUnknownFieldsOfGoldenPods(t *testing.T) {
	t.Parallel()
	cases, err := golden.Cases()
	require.NoError(t, err)
	for _, c := range cases {
		var document any
		require.NoError(t, json.Unmarshal(c.JSON, &document))
		addUnknownFields(document)
		t.Run(c.Name, func(t *testing.T) { testProperties(t, c, []byte(encode(t, document))) })
	}
}

// addUnknownFields adds a field to each object. It leaves out maps with free keys (labels, selectors, quantities) and
// objects that the webhook may replace as a whole.
func addUnknownFields(value any) (added int) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			added += addUnknownFields(element)
		}
	case map[string]any:
		for key, member := range v {
			switch key {
			case "labels", "annotations", "matchLabels", "nodeSelector", "requests", "limits", "overhead", "options",
				"volumeAttributes", "allocatedResources", "capacity", "allocatedNodeResources":
			case "capabilities", "seccompProfile":
				// The webhook may replace the whole object.
			default:
				added += addUnknownFields(member)
			}
		}
		v["fromTheFuture"] = json.Number("12345678901234567890.10")
		added++
	}
	return added
}
