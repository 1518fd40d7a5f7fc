package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// An attack is a request that must be denied. Of the rules of the policies, at most one denies it.
type attack struct {
	// rule is the policy that denies the attack and the reason of the denial, such as access/NoAccess for the policy
	// access.jupyter-user.io. If only the verifier denies the attack, rule begins with "verifier/".
	rule string
	// do tries the attack and returns the API server's error.
	do func(*testing.T, *guarded) error
}

// byCarol returns an attack: in namespace lab, carol creates alice's notebook as the webhook makes it, but with a change.
func byCarol(change func(*corev1.Pod)) func(*testing.T, *guarded) error {
	return byCarolFor("alice", change)
}

func byCarolFor(user string, change func(*corev1.Pod)) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := injected(t, user)
		change(pod)
		return create(t.Context(), g.carol, "lab", pod)
	}
}

// byBob returns an attack: in namespace lab, bob creates a Pod that is no notebook and has a volume.
func byBob(volume corev1.VolumeSource) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := plainPod()
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: volume}}
		return create(t.Context(), g.bob, "lab", pod)
	}
}

func plainPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "plain-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}},
	}
}

// patchedByCarol returns an attack: carol patches alice's stored notebook or one of its subresources.
func patchedByCarol(patch string, subresource ...string) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error { return patchNotebook(t, g, g.carol, patch, subresource...) }
}

func patchNotebook(t *testing.T, g *guarded, client kubernetes.Interface, patch string, subresource ...string) error {
	t.Helper()
	pod := createStored(t, g.carol, injected(t, "alice", addGate))
	_, err := client.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, subresource...)
	return err
}

func addGate(pod *corev1.Pod) {
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
}

// moreContainers returns n containers. Their names begin with the prefix.
func moreContainers(prefix string, n int) (more []corev1.Container) {
	for i := range n {
		more = append(more, corev1.Container{Name: fmt.Sprintf("%s%d", prefix, i), Image: "x"})
	}
	return more
}

// debugger returns an ephemeral container that is allowed in alice's notebook.
func debugger() corev1.EphemeralContainer {
	return corev1.EphemeralContainer{
		TargetContainerName: "nb",
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger", Image: "x",
			SecurityContext: &corev1.SecurityContext{
				RunAsUser: new(int64(5001)), RunAsGroup: new(int64(6001)),
				RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		},
	}
}

// withDebugger returns an attack that adds an ephemeral container to alice's notebook.
func withDebugger(requester func(*guarded) kubernetes.Interface, change func(*corev1.EphemeralContainer),
) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		added := debugger()
		change(&added)
		return addEphemeral(t, requester(g), createStored(t, g.carol, injected(t, "alice")), added)
	}
}

func addEphemeral(t *testing.T, client kubernetes.Interface, pod *corev1.Pod, added ...corev1.EphemeralContainer) error {
	t.Helper()
	pod.Spec.EphemeralContainers = added
	_, err := client.CoreV1().Pods("lab").UpdateEphemeralContainers(t.Context(), pod.Name, pod,
		metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func carol(g *guarded) kubernetes.Interface { return g.carol }
func bob(g *guarded) kubernetes.Interface   { return g.bob }

func unchangedContainer(*corev1.EphemeralContainer) {}

// newClaim returns an attack: bob creates a claim in namespace lab.
func newClaim(change func(*corev1.PersistentVolumeClaim)) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		_, err := g.bob.CoreV1().PersistentVolumeClaims("lab").Create(t.Context(), claim(change),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
}

func claim(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "mine"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
	}
	change(c)
	return c
}

// bindPod binds alice's notebook to a node, as bob, with a Binding that has labels or annotations. If bare is true, bindPod
// creates the Binding in the resource bindings and not in pods/binding.
func bindPod(t *testing.T, g *guarded, meta metav1.ObjectMeta, bare bool) error {
	t.Helper()
	pod := createStored(t, g.carol, injected(t, "alice"))
	meta.Name, meta.Namespace = pod.Name, "lab"
	binding := &corev1.Binding{ObjectMeta: meta, Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}
	client := g.bob.CoreV1().RESTClient().Post().Namespace("lab").Param("dryRun", "All").Body(binding)
	if bare {
		return client.Resource("bindings").Do(t.Context()).Error()
	}
	return client.Resource("pods").Name(pod.Name).SubResource("binding").Do(t.Context()).Error()
}

// enterContainer returns an attack: carol enters a container of alice's notebook. If subresource is "exec", she runs a
// command in the container. If subresource is "attach", she attaches to the container.
func enterContainer(container, subresource string) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := createStored(t, g.carol, injected(t, "alice"))
		err := g.carol.CoreV1().RESTClient().Post().Namespace("lab").Resource("pods").Name(pod.Name).SubResource(subresource).
			Param("container", container).Param("command", "id").Param("stdout", "true").Do(t.Context()).Error()
		if err != nil && strings.Contains(err.Error(), "does not have a host assigned") {
			return nil // The request was admitted. It fails later, because there is no node.
		}
		return err
	}
}
