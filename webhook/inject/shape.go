package inject

import "jupyter-user.io/jupyter-user-webhook/webhook/denial"

// The shape of a pod: how long a path of it can be, which is compared with others and written more than once. Whoever may
// create pods sends up to 3 MiB, of whatever they like; without these bounds a directory of 3 MB becomes a patch of 36. No pod
// that a person wrote comes near, and what is over is refused before it is planned. How long its lists can be is in list.go.

const (
	// longestPath is Linux' PATH_MAX, with the byte that ends it.
	longestPath = 4096
	// longestBase is how long the base URL of a server can be for probes to ask for it.
	longestBase = 1024
	// mostDenials are counted of one pod. Fifty are told.
	mostDenials = 1000
)

// denyLongPaths refuses pods with a path that is too long.
func (in *planning) denyLongPaths() (refusals []denial.Denial) {
	for at, c := range in.pod.containers {
		if len(refusals) >= mostDenials {
			break
		}
		refusals = append(refusals, longPaths(at, c)...)
	}
	return refusals
}

func longPaths(at element, c *Container) (refusals []denial.Denial) {
	tooLong := func(value *string, field func() pointer) {
		if value != nil && len(*value) >= longestPath {
			refusals = append(refusals, denial.PathTooLong(field().field(), len(*value), longestPath-1))
		}
	}
	tooLong(c.WorkingDir, func() pointer { return at.pointer().child("workingDir") })
	tooLong(c.TerminationMessagePath, func() pointer { return at.pointer().child("terminationMessagePath") })
	mounts := func() pointer { return at.pointer().child("volumeMounts") }
	for i := range c.VolumeMounts {
		tooLong(&c.VolumeMounts[i].MountPath, func() pointer { return mounts().index(i).child("mountPath") })
	}
	return refusals
}
