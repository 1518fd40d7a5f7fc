package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// This file limits the length of a Pod's paths, because the planner compares each path with others, and messages and the
// patch contain some paths several times. A requester can send up to 3 MiB of any content; without these limits a directory
// name of 3 MB becomes a patch of 36 MB. A Pod with a path that exceeds the limit is denied before its pieces are planned.
// The limits of lists are in package pod, list.go.

const (
	// maxPathLength is PATH_MAX of Linux, which includes the terminating byte.
	maxPathLength = 4096
	// maxBaseURLLength is the longest base URL of a server in a probe, in bytes.
	maxBaseURLLength = 1024
	// maxDenials is the number of denials of one Pod after which a step, such as this check, collects no more. A message
	// shows at most fifty.
	maxDenials = 1000
)

func (in *planning) denyLongPaths() (denials []denial.Denial) {
	for at, c := range in.pod.AllContainers {
		if len(denials) >= maxDenials {
			break
		}
		denials = append(denials, longPaths(at, c)...)
	}
	return denials
}

func longPaths(at pod.Element, c *pod.Container) (denials []denial.Denial) {
	tooLong := func(value *string, field func() pod.Pointer) {
		if value != nil && len(*value) >= maxPathLength {
			denials = append(denials, denial.PathTooLong(field().Field(), len(*value), maxPathLength-1))
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
	return denials
}
