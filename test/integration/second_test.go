package integration

import (
	"context"
	"encoding/json"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// secondWebhook does to a pod what its label "second" says, in the way that is usual: typed, whole, by a diff.
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

func meddle(pod *corev1.Pod) {
	switch pod.Labels["second"] {
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
	case "root":
		root := int64(0)
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: &root}
	}
}
