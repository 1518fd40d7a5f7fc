package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// secondWebhook returns another webhook. The Pod's label "second", "first" or "repeating" selects the change that the
// webhook makes. Like most webhooks, it decodes the Pod, changes it, and returns the difference.
func secondWebhook() http.Handler { return mutatingHandler(changePod) }

// mutatingHandler returns a webhook that changes a Pod with a function.
func mutatingHandler(change func(*corev1.Pod)) http.Handler {
	return &admission.Webhook{Handler: admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		pod := &corev1.Pod{}
		if err := json.Unmarshal(req.Object.Raw, pod); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		change(pod)
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

func changePod(pod *corev1.Pod) {
	switch change := cmp.Or(pod.Labels["first"], pod.Labels["second"], pod.Labels["repeating"]); change {
	case "tolerations", "environment", "rename-pod", "mirror", "mirror-elsewhere":
		changeIdempotently(pod, change)
	case "sidecar":
		if slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == "proxy" }) {
			return
		}
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy"})
	case "sidecar-first":
		pod.Spec.Containers = append([]corev1.Container{{Name: "notebook", Image: "proxy"}}, pod.Spec.Containers...)
	case "mesh":
		// With holdApplicationUntilProxyStarts, Istio puts its proxy first, so that the application starts after the proxy.
		if _, ok := pod.Annotations["kubectl.kubernetes.io/default-container"]; !ok {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "kubectl.kubernetes.io/default-container", pod.Spec.Containers[0].Name)
			pod.Spec.Containers = append([]corev1.Container{{Name: "istio-proxy", Image: "proxy"}}, pod.Spec.Containers...)
		}
	case "native-sidecar-first":
		always := corev1.ContainerRestartPolicyAlways
		pod.Spec.InitContainers = append([]corev1.Container{{Name: "proxy", Image: "proxy", RestartPolicy: &always}},
			pod.Spec.InitContainers...)
	case "init-image":
		pod.Spec.InitContainers[0].Image = "evil"
	case "init-command":
		pod.Spec.InitContainers[0].Command = []string{"sh", "-c", "true"}
	case "rename":
		metav1.SetMetaDataLabel(&pod.ObjectMeta, "renamed", "yes")
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "renamed", "yes")
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

// changeIdempotently makes a change that a second call does not repeat.
func changeIdempotently(pod *corev1.Pod, change string) {
	switch change {
	case "tolerations":
		gpu := corev1.Toleration{Key: "gpu", Operator: "Exists", Effect: "NoSchedule"}
		if !slices.Contains(pod.Spec.Tolerations, gpu) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, gpu)
		}
		pod.Spec.NodeSelector = map[string]string{"pool": "gpu"}
	case "rename-pod":
		if pod.Name != "" {
			pod.Name = "renamed-" + strings.TrimPrefix(pod.Name, "renamed-")
		} else {
			pod.GenerateName = "renamed-" + strings.TrimPrefix(pod.GenerateName, "renamed-")
		}
	case "environment":
		forEveryContainer(pod, func(c *corev1.Container) {
			if proxy := (corev1.EnvVar{Name: "PROXY", Value: "x"}); !slices.Contains(c.Env, proxy) {
				c.Env = append(c.Env, proxy)
			}
		})
	case "mirror", "mirror-elsewhere":
		registry := map[string]string{"mirror": "mirror.example/", "mirror-elsewhere": "elsewhere.example/"}[change]
		forEveryContainer(pod, func(c *corev1.Container) { c.Image = registry + strings.TrimPrefix(c.Image, registry) })
	}
}

func forEveryContainer(pod *corev1.Pod, change func(*corev1.Container)) {
	for i := range pod.Spec.InitContainers {
		change(&pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		change(&pod.Spec.Containers[i])
	}
}
