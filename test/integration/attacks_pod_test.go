package integration

import (
	corev1 "k8s.io/api/core/v1"
)

func attacksOnPod() map[string]attack {
	const lacks, volume = "injected/NotInjected", "injected/VolumeForeign"
	return map[string]attack{
		"the annotation without the label": {lacks, carols(func(pod *corev1.Pod) { delete(pod.Labels, "jupyter-user") })},
		"the label without the annotation": {lacks, carols(func(pod *corev1.Pod) { pod.Annotations = nil })},
		"the label without anything": {lacks, carols(func(pod *corev1.Pod) {
			*pod = *plain()
			pod.Labels = map[string]string{"jupyter-user": "alice"}
		})},
		"a hub's label without anything": {lacks, carols(func(pod *corev1.Pod) {
			*pod = *plain()
			pod.Labels = map[string]string{"hub.jupyter.org/username": "alice"}
		})},
		"an annotation of ours without anything": {lacks, carols(func(pod *corev1.Pod) {
			*pod = *plain()
			pod.Annotations = map[string]string{"jupyter-user.io/probes": "on"}
		})},
		"the claim without anything": {lacks, carols(func(pod *corev1.Pod) {
			*pod = *plain()
			pod.Spec.Volumes = []corev1.Volume{claimVolume("mine")}
		})},
		"the scratch volume's name without anything": {lacks, carols(func(pod *corev1.Pod) {
			*pod = *plain()
			pod.Spec.Volumes = []corev1.Volume{{Name: "uid-gid-config"}}
		})},
		"the init container's name without anything": {lacks, carols(func(pod *corev1.Pod) {
			*pod = *plain()
			pod.Spec.Containers[0].Name = "jupyter-user-init"
		})},
		"a namespace that joins the selector later": {lacks, carols(func(pod *corev1.Pod) {
			pod.Spec.InitContainers = nil
		})},
		"our volume under another name": {volume, carols(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, claimVolume("again"))
		})},
		"the share's volume is another claim": {volume, carols(func(pod *corev1.Pod) {
			pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "look-alike"
		})},
		"the scratch volume is a claim of one's own": {volume, carols(func(pod *corev1.Pod) {
			pod.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "prepared"},
			}
		})},
		"a name that leads out of the homes": {"injected/NameInvalid", inNobodysName("alice bob")},
		"kube-system":                        {"injected/NamespaceUnserved", inUnserved("kube-system")},
		"the webhook's own namespace":        {"injected/NamespaceUnserved", inUnserved("jupyter-user-system")},
		"groups smuggled in by supplementalGroups": {"injected/GroupForeign", carols(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.SupplementalGroups = []int64{7001, 6002}
		})},
		"groups smuggled in where the person is found at start": {"injected/GroupForeign",
			carolsOf("qiang.guo03", func(pod *corev1.Pod) { pod.Spec.SecurityContext.SupplementalGroups = []int64{7001} })},
		"a group smuggled in by fsGroup": {"injected/GroupForeign", carols(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.FSGroup = new(int64(6002))
		})},
		"the root group smuggled in by fsGroup": {"injected/GroupForeign", carols(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.FSGroup = new(int64(0))
		})},
		"the image's /etc/group adds groups": {"injected/GroupForeign", carols(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.SupplementalGroupsPolicy = new(corev1.SupplementalGroupsPolicyMerge)
		})},
	}
}

func claimVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "hpc-shared-pvc"},
	}}
}
