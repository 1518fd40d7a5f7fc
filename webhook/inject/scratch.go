package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Scratch volume: the volume in which the init container passes files to the notebook container.
//
// Adds the emptyDir volume uid-gid-config with a size limit. An emptyDir of that name is kept; its size limit and medium
// are ours and are corrected. Any other volume of that name is denied. The mounts of the volume are ours (mounts.go):
// only the init container can write to the volume, because a user who can write a file that root reads at the next start
// can become root.

type scratchPiece struct{ want *pod.Volume }

func scratchVolume(c *config.Config) pod.Volume {
	return pod.Volume{Name: c.Scratch.VolumeName, EmptyDir: &pod.EmptyDir{SizeLimit: new(quantity(c.Scratch.SizeLimit))}}
}

func (in *planning) planScratch() scratchPiece { return scratchPiece{&in.planner.scratch} }

func (p scratchPiece) reconcile(document *pod.Pod, c *changes) {
	found := false
	for i, v := range document.Spec.Volumes {
		if v.Name != p.want.Name {
			continue
		}
		at := pod.VolumesPath.Index(i)
		if found || v.EmptyDir == nil || v.PersistentVolumeClaim != nil || v.HostPath != nil || v.NFS != nil {
			c.deny(denial.VolumeTaken(at.Field(), p.want.Name, denial.ScratchVolume))
		} else {
			p.putRight(at.Child("emptyDir"), v.EmptyDir, c)
		}
		found = true
	}
	if !found {
		c.appendTo(ours, pod.VolumesPath, len(document.Spec.Volumes), p.want)
	}
}

func (p scratchPiece) putRight(at pod.Pointer, have *pod.EmptyDir, c *changes) {
	putField(c, ours, member{at, true, "sizeLimit"}, have.SizeLimit, *p.want.EmptyDir.SizeLimit)
	c.removeField(member{at, true, "medium"}, have.Medium != nil && *have.Medium != "")
}
