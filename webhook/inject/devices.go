package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Devices: volumes that a container has as block devices. They are the Pod's, unless they are in the way of a mount of ours.
//
//	device                                          with discovery at start    at admission
//	of one of our volumes                           denied                     denied
//	of the notebook container:
//	  at a path of ours, or in the home             denied                     denied
//	  inside of another mount                       denied                     denied
//	  elsewhere, as below /dev                      the Pod's                  the Pod's
//
// A container runtime makes the device's node as root, with the directories above it, and follows symbolic links: a device is
// looked at like a mount (mounts.go), and a link in a volume of the Pod's own can lead to the home. A mount in the home leaves
// an empty directory there; a node on the share would stay a device, also for other machines that mount the share, so it is
// denied with discovery at admission too.

func (p mountsPiece) denyDevices(at func() pod.Pointer, container *pod.Container, c *changes) {
	for i, d := range container.VolumeDevices {
		field := func() string { return at().Child("volumeDevices").Index(i).Field() }
		switch {
		case p.ours.has(d.Name):
			c.deny(denial.DeviceForeign(field(), d.Name))
		case container == p.notebook && d.DevicePath != "":
			// Without a path it is no device, and the API server will say so.
			p.denyDeviceInTheWay(field, d.DevicePath, c)
		}
	}
}

func (p mountsPiece) denyDeviceInTheWay(field func() string, devicePath string, c *changes) {
	at := pod.CleanPath(devicePath)
	for _, want := range p.want {
		if !want.closed && pod.Inside(at, want.MountPath) {
			c.deny(denial.DeviceNested(field(), devicePath, want.what.String()))
			return
		}
	}
	if around, nested := p.nestedIn[at]; nested && !p.startsAsRoot && !p.seesMore {
		c.deny(denial.DeviceNested(field(), devicePath, around))
		return
	}
	p.denyMountInTheWay(field, devicePath, c)
}
