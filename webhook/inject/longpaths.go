package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// The shape of a pod: how long a path of it can be, which is compared with others and written more than once. Whoever may
// create pods sends up to 3 MiB, of whatever they like; without these bounds a directory of 3 MB becomes a patch of 36. No pod
// that a person wrote comes near, and what is over is refused before it is planned. How long its lists can be is in list.go.

const (
	// maxPathLength is Linux' PATH_MAX, with the byte that ends it.
	maxPathLength = 4096
	// maxBaseURLLength is how long the base URL of a server can be for probes to ask for it.
	maxBaseURLLength = 1024
	// maxDenials are counted of one pod. Fifty are told.
	maxDenials = 1000
)

// denyLongPaths refuses pods with a path that is too long.
func (in *planning) denyLongPaths() (refusals []denial.Denial) {
	for at, c := range in.pod.AllContainers {
		if len(refusals) >= maxDenials {
			break
		}
		refusals = append(refusals, longPaths(at, c)...)
	}
	return refusals
}

func longPaths(at pod.Element, c *pod.Container) (refusals []denial.Denial) {
	tooLong := func(value *string, field func() pod.Pointer) {
		if value != nil && len(*value) >= maxPathLength {
			refusals = append(refusals, denial.PathTooLong(field().Field(), len(*value), maxPathLength-1))
		}
	}
	tooLong(c.WorkingDir, func() pod.Pointer { return at.Pointer().Child("workingDir") })
	tooLong(c.TerminationMessagePath, func() pod.Pointer { return at.Pointer().Child("terminationMessagePath") })
	mounts := func() pod.Pointer { return at.Pointer().Child("volumeMounts") }
	for i := range c.VolumeMounts {
		tooLong(&c.VolumeMounts[i].MountPath, func() pod.Pointer { return mounts().Index(i).Child("mountPath") })
	}
	for i := range c.VolumeDevices {
		device := func() pod.Pointer { return at.Pointer().Child("volumeDevices").Index(i) }
		tooLong(&c.VolumeDevices[i].DevicePath, func() pod.Pointer { return device().Child("devicePath") })
	}
	return refusals
}
