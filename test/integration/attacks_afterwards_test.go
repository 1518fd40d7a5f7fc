package integration

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

func attacksAfterwards() map[string]attack {
	const label, annotation, initImage = "afterwards/LabelChanged", "afterwards/AnnotationChanged", "afterwards/InitChanged"
	const image, closed = "afterwards/ImageAccess", "exec/InitClosed"
	return map[string]attack{
		"the label changed":                   {label, patchedByCarol(`{"metadata": {"labels": {"jupyter-user": "bob"}}}`)},
		"the label removed":                   {label, patchedByCarol(`{"metadata": {"labels": {"jupyter-user": null}}}`)},
		"a hub's label added":                 {label, patchedByCarol(`{"metadata": {"labels": {"hub.jupyter.org/username": "bob"}}}`)},
		"the label changed by pods/status":    {label, patchedByCarol(`{"metadata": {"labels": {"jupyter-user": "bob"}}}`, "status")},
		"the label added to a stored pod":     {label, addLabel},
		"the user's annotation changed":       {annotation, patchedByCarol(`{"metadata": {"annotations": {"jupyter-user.io/user": "bob"}}}`)},
		"the user's annotation removed":       {annotation, patchedByCarol(`{"metadata": {"annotations": {"jupyter-user.io/user": null}}}`)},
		"an annotation of ours added":         {annotation, patchedByCarol(`{"metadata": {"annotations": {"jupyter-user.io/probes": "on"}}}`)},
		"the home in another container later": {annotation, patchedByCarol(`{"metadata": {"annotations": {"jupyter-user.io/home-in": "side"}}}`)},
		"a hub's annotation added":            {annotation, patchedByCarol(`{"metadata": {"annotations": {"hub.jupyter.org/username": "bob"}}}`)},
		"the user's annotation changed by pods/status": {annotation,
			patchedByCarol(`{"metadata": {"annotations": {"jupyter-user.io/user": "bob"}}}`, "status")},
		"the init container's image patched while the pod is gated": {initImage,
			patchedByCarol(`{"spec": {"initContainers": [{"name": "jupyter-user-init", "image": "evil"}]}}`)},
		"the notebook's image patched by a requester without the right": {image, func(t *testing.T, g *guarded) error {
			return patchNotebook(t, g, g.bob, `{"spec": {"containers": [{"name": "nb", "image": "evil"}]}}`)
		}},
		"the notebook's image applied by a requester without the right": {image, func(t *testing.T, g *guarded) error {
			return applyNotebook(t, g, g.bob, `{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "nb", "image": "evil"}]}}`)
		}},
		"the image of a pod with the whole share": {"images/ImageAccess", func(t *testing.T, g *guarded) error {
			pod := plainPod()
			pod.Spec.Volumes = []corev1.Volume{claimVolume("all")}
			kept := createStored(t, g.admin(t), pod)
			_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), kept.Name, types.StrategicMergePatchType,
				[]byte(`{"spec": {"containers": [{"name": "c", "image": "evil"}]}}`), metav1.PatchOptions{})
			return err
		}},
		"the image of a pod with the share as an inline volume": {"images/ImageAccess", func(t *testing.T, g *guarded) error {
			kept := createStored(t, g.admin(t), podWithoutClaim())
			_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), kept.Name, types.StrategicMergePatchType,
				[]byte(`{"spec": {"containers": [{"name": "c", "image": "evil"}]}}`), metav1.PatchOptions{})
			return err
		}},
		"the image of a notebook with a road, by its user": {"images/ImageAccess", func(t *testing.T, g *guarded) error {
			kept := createStored(t, g.admin(t), notebookWithRoad(t))
			_, err := g.carol.CoreV1().Pods("lab").Patch(t.Context(), kept.Name, types.StrategicMergePatchType,
				[]byte(`{"spec": {"containers": [{"name": "nb", "image": "evil"}]}}`), metav1.PatchOptions{})
			return err
		}},
		"the component of a hub's server changed": {label, func(t *testing.T, g *guarded) error {
			return patchHubPod(t, g, "singleuser-server", `{"metadata": {"labels": {"component": "mine"}}}`)
		}},
		"a hub's pod that becomes a server": {label, func(t *testing.T, g *guarded) error {
			return patchHubPod(t, g, "dask-worker", `{"metadata": {"labels": {"component": "singleuser-server"}}}`)
		}},
		"a hub's pod that gets a user later": {annotation, func(t *testing.T, g *guarded) error {
			return patchHubPod(t, g, "dask-worker", `{"metadata": {"annotations": {"jupyter-user.io/user": "bob"}}}`)
		}},
		"a notebook that opts out later": {annotation, patchedByCarol(`{"metadata": {"annotations": {"jupyter-user.io/inject": "false"}}}`)},
		"the label changed by server-side apply": {label, func(t *testing.T, g *guarded) error {
			return applyNotebook(t, g, g.carol, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"jupyter-user": "bob"}}}`)
		}},
		"the label changed by replace": {label, func(t *testing.T, g *guarded) error {
			pod := createStored(t, g.carol, injected(t, "alice"))
			pod.Labels["jupyter-user"] = "bob"
			_, err := g.carol.CoreV1().Pods("lab").Update(t.Context(), pod, metav1.UpdateOptions{})
			return err
		}},
		"exec into the init container while it runs": {closed, enterContainer("jupyter-user-init", "exec")},
		"attach to the init container while it runs": {closed, enterContainer("jupyter-user-init", "attach")},
	}
}

func attacksOnBindings() map[string]attack {
	const binding = "bindings/BindingForeign"
	bound := func(meta metav1.ObjectMeta, bare bool) func(*testing.T, *guarded) error {
		return func(t *testing.T, g *guarded) error { return bindPod(t, g, meta, bare) }
	}
	labels := metav1.ObjectMeta{Labels: map[string]string{"jupyter-user": "bob"}}
	annotations := metav1.ObjectMeta{Annotations: map[string]string{"jupyter-user.io/user": "bob"}}
	component := metav1.ObjectMeta{Labels: map[string]string{"component": "singleuser-server"}}
	return map[string]attack{
		"a Binding that sets labels":                          {binding, bound(labels, false)},
		"a Binding that sets annotations":                     {binding, bound(annotations, false)},
		"a Binding of the resource bindings that sets labels": {binding, bound(labels, true)},
		"a Binding that sets the component label of a hub":    {binding, bound(component, false)},
	}
}

// addLabel adds the label of a user to a stored Pod.
func addLabel(t *testing.T, g *guarded) error {
	t.Helper()
	pod := createStored(t, g.bob, plainPod())
	_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.MergePatchType,
		[]byte(`{"metadata": {"labels": {"jupyter-user": "alice"}}}`), metav1.PatchOptions{})
	return err
}

// patchHubPod applies a patch, as bob, to a hub's Pod. component is the value of the Pod's label "component".
func patchHubPod(t *testing.T, g *guarded, component, patch string) error {
	t.Helper()
	pod := plainPod()
	if component == "singleuser-server" {
		pod = injected(t, "alice")
		delete(pod.Labels, "jupyter-user")
	}
	addHubKeys(pod, component)
	kept := createStored(t, g.hub, pod)
	_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), kept.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func applyNotebook(t *testing.T, g *guarded, client kubernetes.Interface, manifest string) error {
	t.Helper()
	pod := createStored(t, g.carol, injected(t, "alice"))
	_, err := client.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.ApplyPatchType, []byte(manifest),
		metav1.PatchOptions{FieldManager: "attacker", Force: new(true)})
	return err
}

// podWithoutClaim returns a Pod that has the share's NFS export as an inline volume, without a claim.
func podWithoutClaim() *corev1.Pod {
	pod := plainPod()
	pod.Spec.Volumes = []corev1.Volume{{Name: "all", VolumeSource: corev1.VolumeSource{
		NFS: &corev1.NFSVolumeSource{Server: "nfs.corp.example", Path: "/export"}}}}
	return pod
}

// notebookWithRoad returns a notebook of alice that also has the share's NFS export as an inline volume.
func notebookWithRoad(t *testing.T) *corev1.Pod {
	t.Helper()
	pod := injected(t, "alice")
	pod.Spec.Volumes = append(pod.Spec.Volumes, podWithoutClaim().Spec.Volumes...)
	return pod
}

// debugWithoutClaim returns an attack: bob adds an ephemeral container with the given mounts to the Pod of
// podWithoutClaim.
func debugWithoutClaim(mounts ...corev1.VolumeMount) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := createStored(t, g.admin(t), podWithoutClaim())
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger", Image: "x", VolumeMounts: mounts}}}
		_, err := g.bob.CoreV1().Pods("lab").UpdateEphemeralContainers(t.Context(), pod.Name, pod,
			metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
}

func attacksOnDebug() map[string]attack {
	const privileged, identity, closed, mounted = "debug/DebugPrivileged", "debug/DebugIdentity", "debug/InitClosed", "debug/MountForeign"
	context := func(change func(*corev1.SecurityContext)) func(*testing.T, *guarded) error {
		return withDebugger(carol, func(c *corev1.EphemeralContainer) { change(c.SecurityContext) })
	}
	mount := func(m corev1.VolumeMount) func(*testing.T, *guarded) error {
		return withDebugger(carol, func(c *corev1.EphemeralContainer) { c.VolumeMounts = []corev1.VolumeMount{m} })
	}
	return map[string]attack{
		"kubectl debug by a requester without the right":            {"debug/NoAccess", withDebugger(bob, unchangedContainer)},
		"kubectl debug of a pod with the share as an inline volume": {"debug/NoAccess", debugWithoutClaim()},
		"kubectl debug of a notebook with a road": {"debug/ShareRoad", func(t *testing.T, g *guarded) error {
			return addEphemeral(t, g.carol, createStored(t, g.admin(t), notebookWithRoad(t)), debugger())
		}},
		"kubectl debug with the share":                             {mounted, mount(corev1.VolumeMount{Name: share, MountPath: "/s"})},
		"kubectl debug with the scratch volume":                    {mounted, mount(corev1.VolumeMount{Name: scratch, MountPath: "/s"})},
		"kubectl debug with another UID":                           {identity, context(func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(5002)) })},
		"kubectl debug with another GID":                           {identity, context(func(s *corev1.SecurityContext) { s.RunAsGroup = new(int64(6002)) })},
		"kubectl debug as root":                                    {identity, context(func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(0)) })},
		"kubectl debug with the image's UID":                       {identity, context(func(s *corev1.SecurityContext) { s.RunAsUser = nil })},
		"kubectl debug with the image's GID":                       {identity, context(func(s *corev1.SecurityContext) { s.RunAsGroup = nil })},
		"kubectl debug with another user's UID and GID in the pod": {identity, debugNotebook("alice", useOtherIDs)},
		"kubectl debug with discovery at start":                    {identity, debugNotebook("qiang.guo03", unchanged)},
		"kubectl debug with the hundredth container":               {"debug/NotebookTooLarge", debugManyContainers},
		"kubectl debug with a capability": {privileged, context(func(s *corev1.SecurityContext) {
			s.Capabilities.Add = []corev1.Capability{"NET_BIND_SERVICE"}
		})},
		"kubectl debug that keeps capabilities": {privileged, context(func(s *corev1.SecurityContext) { s.Capabilities.Drop = nil })},
		"kubectl debug with privilege escalation": {privileged, context(func(s *corev1.SecurityContext) {
			s.AllowPrivilegeEscalation = nil
		})},
		"kubectl debug without a security context": {privileged, debugWithoutContext},
		"kubectl debug in the init container's processes": {closed, withDebugger(carol, func(c *corev1.EphemeralContainer) {
			c.TargetContainerName = "jupyter-user-init"
		})},
	}
}

// useOtherIDs sets the Pod's UID and GID to those of another user. The UID and GID of the notebook container do not change.
func useOtherIDs(pod *corev1.Pod) {
	pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5002)), new(int64(6002))
}

// debugNotebook returns an attack: carol changes a user's notebook before its creation, and adds an ephemeral container
// without UID and GID afterwards.
func debugNotebook(user string, change func(*corev1.Pod)) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := injected(t, user)
		change(pod)
		pod = createStored(t, g.carol, pod)
		added := debugger()
		added.SecurityContext.RunAsUser, added.SecurityContext.RunAsGroup = nil, nil
		return addEphemeral(t, g.carol, pod, added)
	}
}

// debugWithoutContext adds an ephemeral container without a security context to a Pod that sets UID and GID. By default, a
// container without a security context may escalate its privileges.
func debugWithoutContext(t *testing.T, g *guarded) error {
	pod := injected(t, "alice")
	pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup = new(int64(5001)), new(int64(6001))
	pod = createStored(t, g.carol, pod)
	added := debugger()
	added.SecurityContext = nil
	return addEphemeral(t, g.carol, pod, added)
}

func debugManyContainers(t *testing.T, g *guarded) error {
	var added []corev1.EphemeralContainer
	for i := range 200 {
		c := debugger()
		c.Name = fmt.Sprintf("d%d", i)
		added = append(added, c)
	}
	return addEphemeral(t, g.carol, createStored(t, g.carol, injected(t, "alice")), added...)
}
