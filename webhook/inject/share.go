package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Share volume: the share's claim as a volume of the pod.
//
// Adds the volume hpc-shared-volume of the claim hpc-shared-pvc. A volume of that name and that claim is kept. One of that
// name and another source is refused, as is a second one, and as is the claim under another volume name: there is one
// road from a pod to the share, and the mounts at its end are ours (mounts.go).

type sharePiece struct{ want *pod.Volume }

func shareVolume(c *config.Config) pod.Volume {
	return pod.Volume{Name: c.Share.VolumeName, PersistentVolumeClaim: &pod.Claim{ClaimName: c.Share.ClaimName}}
}

func (in *planning) planShare() sharePiece { return sharePiece{&in.planner.share} }

func (p sharePiece) reconcile(document *pod.Pod, c *changes) {
	found, name, claim := false, p.want.Name, p.want.PersistentVolumeClaim.ClaimName
	for i, v := range document.Spec.Volumes {
		claimed := v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
		switch {
		case v.Name != name && claimed:
			c.deny(denial.ShareAgain(pod.VolumesPath.Index(i).Field(), claim, name))
		case v.Name != name:
		case found || !claimed || v.PersistentVolumeClaim.ReadOnly || v.EmptyDir != nil || v.HostPath != nil || v.NFS != nil:
			c.deny(denial.VolumeTaken(pod.VolumesPath.Index(i).Field(), name, "the share (claim "+claim+")"))
		default:
			found = true
		}
	}
	if !found {
		c.appendTo(ours, pod.VolumesPath, len(document.Spec.Volumes), p.want)
	}
}
