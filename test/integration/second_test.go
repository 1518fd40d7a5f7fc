package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// secondWebhook does to a pod what its label "second", or "insisting", says, in the way that is usual: typed, whole, by a diff.
func secondWebhook() http.Handler {
	return &admission.Webhook{Handler: admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		pod := &corev1.Pod{}
		if err := json.Unmarshal(req.Object.Raw, pod); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		meddle(pod)
		raw, err := json.Marshal(pod)
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		return admission.PatchResponseFromRaw(req.Object.Raw, raw)
	})}
}

func exec(command ...string) corev1.ProbeHandler {
	return corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}}
}

func meddle(pod *corev1.Pod) {
	switch cmp.Or(pod.Labels["second"], pod.Labels["insisting"]) {
	case "sidecar":
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy"})
	case "sidecar-first":
		pod.Spec.Containers = append([]corev1.Container{{Name: "notebook", Image: "proxy"}}, pod.Spec.Containers...)
	case "native-sidecar-first":
		always := corev1.ContainerRestartPolicyAlways
		pod.Spec.InitContainers = append([]corev1.Container{{Name: "proxy", Image: "proxy", RestartPolicy: &always}},
			pod.Spec.InitContainers...)
	case "init-image":
		pod.Spec.InitContainers[0].Image = "evil"
	case "init-command":
		pod.Spec.InitContainers[0].Command = []string{"sh", "-c", "true"}
	case "rename":
		pod.Labels["renamed"], pod.Annotations["renamed"] = "yes", "yes"
	case "late-label":
		pod.Labels["jupyter-user"] = "alice"
	case "no-label":
		delete(pod.Labels, "jupyter-user")
	case "defaults":
		pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "PROXY", Value: "x"})
		pod.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	case "defaults-once":
		if env := &pod.Spec.Containers[0].Env; (*env)[0].Name != "PROXY" {
			*env = append([]corev1.EnvVar{{Name: "PROXY", Value: "x"}}, *env...)
		}
	case "exec-probe":
		pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: exec("id")}
	case "exec-hook":
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: exec("id").Exec}}
	case "floor":
		args := pod.Spec.InitContainers[0].Args
		args[slices.Index(args, "--min-uid=1000")] = "--min-uid=1"
	case "home":
		env := pod.Spec.Containers[0].Env
		env[slices.IndexFunc(env, func(v corev1.EnvVar) bool { return v.Name == "HOME" })].Value = "/tmp"
	case "working-dir":
		pod.Spec.Containers[0].WorkingDir = "/tmp"
	case "writable-root":
		pod.Spec.InitContainers[0].SecurityContext.ReadOnlyRootFilesystem = new(false)
	case "scratch-size":
		for i := range pod.Spec.Volumes {
			if v := &pod.Spec.Volumes[i]; v.Name == "uid-gid-config" {
				v.EmptyDir.SizeLimit = nil
			}
		}
	case "root":
		root := int64(0)
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: &root}
	}
}
