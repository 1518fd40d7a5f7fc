package inject

import "jupyter-user.io/jupyter-user-webhook/webhook/answer"

// The shape of a pod: how much of it there can be of what is compared with each other, or written more than once. Whoever may
// create pods sends up to 3 MiB, of whatever they like; without these bounds a directory of 3 MB becomes a patch of 36. No pod
// that a person wrote comes near, and what is over is refused before it is planned.

const (
	// mostMounts of one container, and mostGroups of a pod.
	mostMounts, mostGroups = 1000, 1000
	// longestPath is Linux' PATH_MAX, with the byte that ends it.
	longestPath = 4096
	// longestBase is how long the base URL of a server can be for probes to ask for it.
	longestBase = 1024
	// mostRefusals are counted of one pod. Fifty are told.
	mostRefusals = 1000
)

// refuseShape refuses pods that are too much of something.
func (in *planning) refuseShape() (refusals []answer.Answer) {
	if s := in.pod.Spec.SecurityContext; s != nil && len(s.SupplementalGroups) > mostGroups {
		refusals = append(refusals, answer.TooMany("spec.securityContext.supplementalGroups", len(s.SupplementalGroups), mostGroups))
	}
	for at, c := range in.pod.containers {
		if len(refusals) >= mostRefusals {
			break
		}
		refusals = append(refusals, c.refuseShape(at)...)
	}
	return refusals
}

func (c *Container) refuseShape(at element) (refusals []answer.Answer) {
	tooLong := func(value *string, field func() pointer) {
		if value != nil && len(*value) >= longestPath {
			refusals = append(refusals, answer.PathTooLong(field().field(), len(*value), longestPath-1))
		}
	}
	tooLong(c.WorkingDir, func() pointer { return at.pointer().child("workingDir") })
	tooLong(c.TerminationMessagePath, func() pointer { return at.pointer().child("terminationMessagePath") })
	mounts := func() pointer { return at.pointer().child("volumeMounts") }
	if n := len(c.VolumeMounts); n > mostMounts {
		return append(refusals, answer.TooMany(mounts().field(), n, mostMounts))
	}
	for i := range c.VolumeMounts {
		tooLong(&c.VolumeMounts[i].MountPath, func() pointer { return mounts().index(i).child("mountPath") })
	}
	return refusals
}
