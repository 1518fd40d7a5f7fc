package integration

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func attacksOnPod() map[string]attack {
	const notInjected, volume, group = "verifier/NotInjected", "verifier/VolumeForeign", "verifier/GroupForeign"
	return map[string]attack{
		"the annotation without the label": {notInjected, byCarol(func(pod *corev1.Pod) { delete(pod.Labels, "jupyter-user") })},
		"an annotation of ours alone": {notInjected, byCarol(func(pod *corev1.Pod) {
			*pod = *plainPod()
			pod.Annotations = map[string]string{"jupyter-user.io/probes": "on"}
		})},
		"the init container's name alone": {notInjected, byCarol(func(pod *corev1.Pod) {
			*pod = *plainPod()
			pod.Spec.Containers[0].Name = "jupyter-user-init"
		})},
		"an annotation of ours beside the one that opts out": {notInjected, byCarol(func(pod *corev1.Pod) {
			pod.Annotations["jupyter-user.io/inject"] = "false"
			removeMounts(pod)
			pod.Spec.Volumes = nil
		})},
		"no init container": {notInjected, byCarol(func(pod *corev1.Pod) { pod.Spec.InitContainers = nil })},
		"the share's volume is another claim": {volume, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "look-alike"
		})},
		"the scratch volume is a claim": {volume, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "prepared"},
			}
		})},
		"a second volume of the share's claim": {volume, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, claimVolume("again"))
		})},
		"a name that no user can have": {"verifier/NameInvalid", underWrongName("alice bob")},
		"groups smuggled in by supplementalGroups": {group, byCarol(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.SupplementalGroups = []int64{7001, 6002}
		})},
		"groups smuggled in with discovery at start": {group,
			byCarolFor("qiang.guo03", func(pod *corev1.Pod) { pod.Spec.SecurityContext.SupplementalGroups = []int64{7001} })},
		"a group smuggled in by fsGroup": {group, byCarol(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.FSGroup = new(int64(6002))
		})},
		"the root group smuggled in by fsGroup": {group, byCarol(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.FSGroup = new(int64(0))
		})},
		"the image's /etc/group adds groups": {group, byCarol(func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.SupplementalGroupsPolicy = new(corev1.SupplementalGroupsPolicyMerge)
		})},
	}
}

func attacksOnShare() map[string]attack {
	const mounted, large = "share/ShareMounted", "share/PodTooLarge"
	withClaim := func(change func(*corev1.Pod)) func(*testing.T, *guarded) error {
		return byCarol(func(pod *corev1.Pod) {
			*pod = *plainPod()
			pod.Spec.Volumes = []corev1.Volume{claimVolume("mine")}
			pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "mine", MountPath: "/all"}}
			change(pod)
		})
	}
	asHubPod := func(labels map[string]string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.Labels, pod.Annotations = labels, map[string]string{"hub.jupyter.org/username": "alice"}
			pod.Labels["hub.jupyter.org/username"] = "alice"
		}
	}
	return map[string]attack{
		"the claim in a plain pod":                      {mounted, withClaim(unchanged)},
		"the claim in a hub's pod that is no server":    {mounted, withClaim(asHubPod(map[string]string{}))},
		"the claim in a hub's pod of another component": {mounted, withClaim(asHubPod(map[string]string{"component": "dask-worker"}))},
		"the claim in a pod with a hub's label alone": {mounted, withClaim(func(pod *corev1.Pod) {
			asHubPod(map[string]string{"component": "singleuser-server"})(pod)
			pod.Annotations = nil
		})},
		"the claim under the name of the share's volume": {mounted, withClaim(func(pod *corev1.Pod) { setVolumeName(pod, share) })},
		"the claim under the name of the scratch volume": {mounted, withClaim(func(pod *corev1.Pod) { setVolumeName(pod, scratch) })},
		"the claim under another volume name":            {mounted, withClaim(func(pod *corev1.Pod) { setVolumeName(pod, "share") })},
		"the claim in a pod that opts out": {mounted, withClaim(func(pod *corev1.Pod) {
			pod.Labels = map[string]string{"jupyter-user": "alice"}
			pod.Annotations = map[string]string{"jupyter-user.io/inject": "false"}
		})},
		"the claim behind 500 volumes": {large, withClaim(func(pod *corev1.Pod) {
			for i := range 500 {
				pod.Spec.Volumes = append([]corev1.Volume{{Name: fmt.Sprintf("v%d", i)}}, pod.Spec.Volumes...)
			}
		})},
		"the claim and more containers than the policy reads": {large, withClaim(func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, moreContainers("c", 200)...)
		})},
	}
}

func setVolumeName(pod *corev1.Pod, volume string) {
	pod.Spec.Volumes[0].Name, pod.Spec.Containers[0].VolumeMounts[0].Name = volume, volume
}

func claimVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "hpc-shared-pvc"},
	}}
}
