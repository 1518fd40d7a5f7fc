package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Devices: volumes that a container has as block devices. They are the Pod's, unless they conflict with one of our mounts.
//
//	device                                                    with either discovery
//	of one of our volumes                                     denied
//	of the notebook container, or of one that gets the home:
//	  at a path of ours, or in the home                       denied
//	  inside another mount                                    denied
//	  elsewhere, such as /dev/xvda                            the Pod's
//
// A container runtime creates the device node and the directories above it as root, and follows symbolic links. So a device
// is checked like a mount (mounts.go): a link in a volume of the Pod's own can lead to the home. A mount of the Pod's own
// in the home leaves only an empty directory there, so with discovery at admission it can be allowed. A device leaves a
// device node, which is a device on every machine that mounts the share. So a device in the home is denied with either
// discovery.

func (p mountsPiece) denyDevices(at func() pod.Pointer, container *pod.Container, c *changes) {
	for i, d := range container.VolumeDevices {
		field := func() string { return at().Child("volumeDevices").Index(i).Field() }
		switch {
		case p.ours.has(d.Name):
			c.deny(denial.DeviceForeign(field(), d.Name))
		case container == p.container && d.DevicePath != "":
			// The API server denies a device without a path.
			p.denyDeviceConflict(field, d.DevicePath, c)
		}
	}
}

func (p mountsPiece) denyDeviceConflict(field func() string, devicePath string, c *changes) {
	at := pod.CleanPath(devicePath)
	for _, want := range p.want {
		if !want.closed && pod.Inside(at, want.MountPath) {
			c.deny(denial.DeviceNested(field(), devicePath, want.description.String()))
			return
		}
	}
	if around, nested := p.mountAround[at]; nested && !p.startsAsRoot && !p.seesMore {
		c.deny(denial.DeviceNested(field(), devicePath, around))
		return
	}
	p.denyConflict(field, devicePath, c)
}
