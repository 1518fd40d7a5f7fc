package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

func attacksAfterwards() map[string]attack {
	const label, annotation, initImage = "afterwards/LabelChanged", "afterwards/AnnotationChanged", "afterwards/InitChanged"
	const image, binding, closed = "afterwards/ImageAccess", "bindings/BindingForeign", "exec/InitClosed"
	bound := func(meta metav1.ObjectMeta, bare bool) func(*testing.T, *guarded) error {
		return func(t *testing.T, g *guarded) error { return binds(t, g, meta, bare) }
	}
	labels := metav1.ObjectMeta{Labels: map[string]string{"jupyter-user": "bob"}}
	annotations := metav1.ObjectMeta{Annotations: map[string]string{"jupyter-user.io/user": "bob"}}
	return map[string]attack{
		"the label changed":                {label, patched(`{"metadata": {"labels": {"jupyter-user": "bob"}}}`)},
		"the label taken off":              {label, patched(`{"metadata": {"labels": {"jupyter-user": null}}}`)},
		"a hub's label added":              {label, patched(`{"metadata": {"labels": {"hub.jupyter.org/username": "bob"}}}`)},
		"the label changed by pods/status": {label, patched(`{"metadata": {"labels": {"jupyter-user": "bob"}}}`, "status")},
		"a plain pod labelled later":       {label, labelled},
		"the user's annotation changed":    {annotation, patched(`{"metadata": {"annotations": {"jupyter-user.io/user": "bob"}}}`)},
		"the user's annotation taken off":  {annotation, patched(`{"metadata": {"annotations": {"jupyter-user.io/user": null}}}`)},
		"an annotation of ours added":      {annotation, patched(`{"metadata": {"annotations": {"jupyter-user.io/probes": "on"}}}`)},
		"a hub's annotation added":         {annotation, patched(`{"metadata": {"annotations": {"hub.jupyter.org/username": "bob"}}}`)},
		"the user's annotation changed by pods/status": {annotation,
			patched(`{"metadata": {"annotations": {"jupyter-user.io/user": "bob"}}}`, "status")},
		"the init container's image patched while the pod is gated": {initImage,
			patched(`{"spec": {"initContainers": [{"name": "jupyter-user-init", "image": "evil"}]}}`)},
		"the notebook's image patched by somebody without the right": {image, func(t *testing.T, g *guarded) error {
			return patches(t, g, g.bob, `{"spec": {"containers": [{"name": "nb", "image": "evil"}]}}`)
		}},
		"likewise by server-side apply": {image, func(t *testing.T, g *guarded) error {
			return applies(t, g, g.bob, `{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "nb", "image": "evil"}]}}`)
		}},
		"the image of a pod patched that has the share as it is": {"images/ImageAccess", func(t *testing.T, g *guarded) error {
			pod := plain()
			pod.Spec.Volumes = []corev1.Volume{claimVolume("all")}
			kept := keep(t, g.admin(t), pod)
			_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), kept.Name, types.StrategicMergePatchType,
				[]byte(`{"spec": {"containers": [{"name": "c", "image": "evil"}]}}`), metav1.PatchOptions{})
			return err
		}},
		"the image of a pod patched that has the share by another road": {"images/ImageAccess", func(t *testing.T, g *guarded) error {
			kept := keep(t, g.admin(t), onAnotherRoad())
			_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), kept.Name, types.StrategicMergePatchType,
				[]byte(`{"spec": {"containers": [{"name": "c", "image": "evil"}]}}`), metav1.PatchOptions{})
			return err
		}},
		"the label changed by server-side apply": {label, func(t *testing.T, g *guarded) error {
			return applies(t, g, g.carol, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"jupyter-user": "bob"}}}`)
		}},
		"the label changed by replace": {label, func(t *testing.T, g *guarded) error {
			pod := keep(t, g.carol, injected(t, "alice"))
			pod.Labels["jupyter-user"] = "bob"
			_, err := g.carol.CoreV1().Pods("lab").Update(t.Context(), pod, metav1.UpdateOptions{})
			return err
		}},
		"a Binding that sets labels":                     {binding, bound(labels, false)},
		"a Binding that sets annotations":                {binding, bound(annotations, false)},
		"a Binding of the old resource that sets labels": {binding, bound(labels, true)},
		"exec into the init container while it runs":     {closed, enters("jupyter-user-init", "exec")},
		"attach to the init container while it runs":     {closed, enters("jupyter-user-init", "attach")},
	}
}

// labelled is a pod of nobody's that becomes a notebook.
func labelled(t *testing.T, g *guarded) error {
	t.Helper()
	pod := keep(t, g.bob, plain())
	_, err := g.bob.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.MergePatchType,
		[]byte(`{"metadata": {"labels": {"jupyter-user": "alice"}}}`), metav1.PatchOptions{})
	return err
}

func applies(t *testing.T, g *guarded, as kubernetes.Interface, manifest string) error {
	t.Helper()
	pod := keep(t, g.carol, injected(t, "alice"))
	_, err := as.CoreV1().Pods("lab").Patch(t.Context(), pod.Name, types.ApplyPatchType, []byte(manifest),
		metav1.PatchOptions{FieldManager: "attacker", Force: new(true)})
	return err
}

// onAnotherRoad is a pod that has the share, and by none of its claims.
func onAnotherRoad() *corev1.Pod {
	pod := plain()
	pod.Spec.Volumes = []corev1.Volume{{Name: "all", VolumeSource: corev1.VolumeSource{
		NFS: &corev1.NFSVolumeSource{Server: "nfs.corp.example", Path: "/export"}}}}
	return pod
}

// debugsAnotherRoad mounts the share in a container that is added to such a pod.
func debugsAnotherRoad(mounts ...corev1.VolumeMount) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := keep(t, g.admin(t), onAnotherRoad())
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger", Image: "x", VolumeMounts: mounts}}}
		_, err := g.bob.CoreV1().Pods("lab").UpdateEphemeralContainers(t.Context(), pod.Name, pod,
			metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
}

func attacksOnDebug() map[string]attack {
	const privileged, closed, mounted = "debug/DebugPrivileged", "debug/InitClosed", "debug/MountForeign"
	context := func(change func(*corev1.SecurityContext)) func(*testing.T, *guarded) error {
		return debugs(carol, func(c *corev1.EphemeralContainer) { change(c.SecurityContext) })
	}
	mount := func(m corev1.VolumeMount) func(*testing.T, *guarded) error {
		return debugs(carol, func(c *corev1.EphemeralContainer) { c.VolumeMounts = []corev1.VolumeMount{m} })
	}
	return map[string]attack{
		"kubectl debug by somebody without the right":               {"debug/NoAccess", debugs(bob, nothing)},
		"kubectl debug of a pod that has the share by another road": {"debug/NoAccess", debugsAnotherRoad()},
		"kubectl debug with the share":                              {mounted, mount(corev1.VolumeMount{Name: share, MountPath: "/s"})},
		"kubectl debug with the scratch volume":                     {mounted, mount(corev1.VolumeMount{Name: scratch, MountPath: "/s"})},
		"kubectl debug with another UID":                            {privileged, context(func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(5002)) })},
		"kubectl debug that may be root":                            {privileged, context(func(s *corev1.SecurityContext) { s.RunAsNonRoot = nil })},
		"kubectl debug with a capability": {privileged, context(func(s *corev1.SecurityContext) {
			s.Capabilities.Add = []corev1.Capability{"NET_BIND_SERVICE"}
		})},
		"kubectl debug that keeps capabilities": {privileged, context(func(s *corev1.SecurityContext) { s.Capabilities.Drop = nil })},
		"kubectl debug that gains privileges": {privileged, context(func(s *corev1.SecurityContext) {
			s.AllowPrivilegeEscalation = nil
		})},
		"kubectl debug without a security context": {privileged, debugs(carol, func(c *corev1.EphemeralContainer) { c.SecurityContext = nil })},
		"kubectl debug in the init container's processes": {closed, debugs(carol, func(c *corev1.EphemeralContainer) {
			c.TargetContainerName = "jupyter-user-init"
		})},
	}
}

func attacksOnParameters() map[string]attack {
	return map[string]attack{
		"the parameters deleted": {"parameters/ParametersInUse", func(t *testing.T, g *guarded) error {
			return g.admin(t).RbacV1().Roles("jupyter-user-system").Delete(t.Context(), "jupyter-user-policy",
				metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		}},
		"the parameters deleted with all others": {"parameters/ParametersInUse", func(t *testing.T, g *guarded) error {
			return g.admin(t).RbacV1().Roles("jupyter-user-system").DeleteCollection(t.Context(),
				metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}, metav1.ListOptions{})
		}},
		"a parameter taken away": {"parameters/ParametersIncomplete", func(t *testing.T, g *guarded) error {
			return setParameters(t, g, `{"metadata": {"annotations": {"claims": null}}}`, metav1.DryRunAll)
		}},
		"a parameter that cannot be": {"parameters/ParametersIncomplete", func(t *testing.T, g *guarded) error {
			return setParameters(t, g, `{"metadata": {"annotations": {"ownHomes": "yes"}}}`, metav1.DryRunAll)
		}},
	}
}

func setParameters(t *testing.T, g *guarded, patch string, dryRun ...string) error {
	t.Helper()
	_, err := g.admin(t).RbacV1().Roles("jupyter-user-system").Patch(t.Context(), "jupyter-user-policy",
		types.MergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dryRun})
	return err
}
