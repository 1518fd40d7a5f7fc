package inject

import "jupyter-user.io/jupyter-user-webhook/webhook/answer"

// Share volume: the share's claim as a volume of the pod.
//
// Adds the volume hpc-shared-volume of the claim hpc-shared-pvc. A volume of that name and that claim is kept. One of that
// name and another source is refused, as is a second one, and as is the claim under another volume name: there is one
// road from a pod to the share, and the mounts at its end are ours (mounts.go).

type sharePiece struct {
	name, claim string
}

func (in *planning) planShare() sharePiece {
	return sharePiece{name: in.config.Share.VolumeName, claim: in.config.Share.ClaimName}
}

func (p sharePiece) reconcile(pod *Pod, c *changes) {
	found := false
	for i, v := range pod.Spec.Volumes {
		claimed := v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == p.claim
		switch {
		case v.Name != p.name && claimed:
			c.refuse(answer.ShareAgain(volumes.index(i).field(), p.claim, p.name))
		case v.Name != p.name:
		case found || !claimed || v.PersistentVolumeClaim.ReadOnly || v.EmptyDir != nil || v.HostPath != nil || v.NFS != nil:
			c.refuse(answer.VolumeTaken(volumes.index(i).field(), p.name, "the share (claim "+p.claim+")"))
		default:
			found = true
		}
	}
	if !found {
		c.appendTo(ours, volumes, len(pod.Spec.Volumes),
			&Volume{Name: p.name, PersistentVolumeClaim: &Claim{ClaimName: p.claim}})
	}
}
