package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// This file limits the length of a Pod's paths and names, because the planner compares each path with others, looks for words
// in each image's name, and writes some paths and names into messages and the patch several times. A requester can send up to
// 3 MiB of any content: without these limits a directory name of 3 MB becomes a patch of 36 MB, and a container name of 1 MB
// becomes denials of 1 GB. The API server denies a container's name that is too long, but only after the webhook. A Pod that
// exceeds a limit is denied before its pieces are planned. The limits of lists are in package pod, list.go.

const (
	// maxPathLength is PATH_MAX of Linux, which includes the terminating byte.
	maxPathLength = 4096
	// maxContainerNameLength is the longest name of a container, a DNS label, in bytes.
	maxContainerNameLength = 63
	// maxImageLength is the longest name of an image, with its tag and digest, in bytes. Container runtimes have a lower limit.
	maxImageLength = 1024
	// maxBaseURLLength is the longest base URL of a server in a probe, in bytes.
	maxBaseURLLength = 1024
	// maxDenials is the number of denials of one Pod after which a step, such as this check, collects no more. A message
	// shows at most fifty.
	maxDenials = 1000
)

func (in *planning) denyLongTexts() (denials []denial.Denial) {
	for at, c := range in.pod.AllContainers {
		if len(denials) >= maxDenials {
			break
		}
		denials = append(denials, longNames(at, c)...)
		denials = append(denials, longPaths(at, c, in.planner.binary)...)
	}
	return denials
}

func longNames(at pod.Element, c *pod.Container) (denials []denial.Denial) {
	tooLong := func(value, member string, limit int) {
		if len(value) > limit {
			denials = append(denials, denial.NameTooLong(at.Pointer().Child(member).Field(), len(value), limit))
		}
	}
	tooLong(c.Name, "name", maxContainerNameLength)
	if c.Image != nil {
		tooLong(*c.Image, "image", maxImageLength)
	}
	return denials
}

// longPaths returns a denial for each path of a container that is too long. If the Pod is reviewed again, its command can
// have our wrapper, with a working directory, which is also a path. binary is the path of the program in the wrapper.
func longPaths(at pod.Element, c *pod.Container, binary string) (denials []denial.Denial) {
	tooLong := func(value *string, field func() pod.Pointer) {
		if value != nil && len(*value) >= maxPathLength {
			denials = append(denials, denial.PathTooLong(field().Field(), len(*value), maxPathLength-1))
		}
	}
	tooLong(c.WorkingDir, func() pod.Pointer { return at.Pointer().Child("workingDir") })
	if wrapper, wrapped := unwrap(binary, c.Command, expanded); wrapped {
		tooLong(&wrapper.WorkingDir, func() pod.Pointer { return at.Pointer().Child("command") })
	}
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
