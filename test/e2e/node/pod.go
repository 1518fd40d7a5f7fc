package node

import corev1 "k8s.io/api/core/v1"

// IsReady reports whether a Pod has the condition Ready.
func IsReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
