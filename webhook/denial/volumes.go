package denial

// The denials of this file are about volumes, mounts and devices.

// VolumeTaken denies a volume of the Pod's own that has the name of a volume of the webhook. The parameter "what" describes
// the webhook's volume.
func VolumeTaken(field, name, what string) Denial {
	return forbidden("VolumeTaken", field, "the volume name %s belongs to %s, and this is another volume, or has other "+
		"settings: rename or remove this volume", name, what)
}

// ScratchVolume describes the scratch volume in VolumeTaken.
const ScratchVolume = "the webhook's own emptyDir"

// OurClaim describes, for VolumeTaken, a volume of the webhook that uses a claim. If isShare is true, this claim is the
// share's. Otherwise it is a further claim: a claim that share.directories names.
func OurClaim(claim string, isShare bool) string {
	if isShare {
		return "the share (claim " + claim + ")"
	}
	return "the claim " + claim + ", which has directories for notebooks (share.directories)"
}

// ShareAgain denies the share's claim under another volume name.
func ShareAgain(field, claim, volume string) Denial {
	return forbidden("ShareAgain", field, "the claim %s is the share, and a pod can use it only as the volume %s: remove this "+
		"volume and its mounts, the webhook adds the user's home", claim, volume)
}

// ShareByHub denies the share's claim under another volume name, in a Pod that a hub created. The user cannot change the
// volumes, so the message is for the hub's admin. initContainers are the names of the init containers that mount the
// claim.
func ShareByHub(field, claim string, initContainers []string) Denial {
	without := ""
	if len(initContainers) > 0 {
		without = " and leave out the init container " + list(initContainers) + ", which mounts it too"
	}
	return forbidden("ShareAgain", field, "the claim %s is the share, and the hub itself mounts it: ask the admin of the hub "+
		"to set singleuser.storage.type to none%s. The webhook adds the user's home, and the directories of share.directories",
		claim, without)
}

// ClaimAgain denies a further claim under another volume name.
func ClaimAgain(field, claim string) Denial {
	return forbidden("ClaimAgain", field, "the claim %s has directories that every notebook sees, and a pod can use it only as "+
		"the volume %s: remove this volume and its mounts, the webhook adds them", claim, claim)
}

// ClaimClosed denies a further claim with discovery at start.
func ClaimClosed(field, claim string) Denial {
	return forbidden("ClaimClosed", field, "the claim %s can be in a notebook only if the UID and GID of the user are known at "+
		"admission, because a container that starts as root would reach every file on it: remove this volume and its mounts", claim)
}

// MountForeign denies an unplanned mount of one of our volumes, in a container with the home. homeAlone is true for a
// container that the annotation jupyter-user.io/home-in names: such a container gets the home, but no directories of
// share.directories.
func MountForeign(field, volume, mountPath string, homeAlone bool) Denial {
	adds := "the home and the directories that the admin lists in share.directories"
	if homeAlone {
		adds = "only the home to a container that jupyter-user.io/home-in names"
	}
	return forbidden("MountForeign", field, "the volume %s is mounted at %s, which is not a mount of the webhook: remove this "+
		"mount, the webhook adds %s", volume, Printable(mountPath), adds)
}

// MountElsewhere denies a mount of one of our volumes in a container without the home.
func MountElsewhere(field, volume, mountPath, notebook string) Denial {
	return forbidden("MountForeign", field, "the volume %s is mounted at %s, but only the notebook container %s has the home: "+
		"remove this mount, and if this container needs the home, name it in the annotation jupyter-user.io/home-in, which works "+
		"if the user is known at admission; or run what needs the home in the notebook container",
		volume, Printable(mountPath), Printable(notebook))
}

// MountTaken denies a mount, or another path of the Pod's own, that is one of our mount paths or inside the scratch
// directory. ours describes our mount.
func MountTaken(field, path, ours string) Denial {
	return forbidden("MountTaken", field, "%s is where the webhook mounts %s: leave this out, or use another path",
		Printable(path), ours)
}

// MountNested denies a mount of the Pod's own that is inside another mount or around one of our mounts. The denial is for
// containers that start as root: a symbolic link could direct a mount over the program that the container starts.
func MountNested(field, path, other string) Denial {
	return forbidden("MountNested", field, "of %s and %s one is inside the other, so a symbolic link could direct a mount over "+
		"the program that this container starts as root: use a path outside every other mount", Printable(path),
		Printable(other))
}

// MountOverKernel denies a mount of the Pod's own at or below a path of the kernel, such as /proc, in a container that starts as
// root or sees more of the share than the home.
func MountOverKernel(field, path string) Denial {
	return forbidden("MountNested", field, "%s belongs to the kernel, and a mount over it would hide what the kernel shows "+
		"there: use another path", Printable(path))
}

// MountAroundRuntime denies a mount of the Pod's own that contains a file which the container runtime mounts, such as
// /etc/hosts, in a container that starts as root or sees more of the share than the home. If the Pod's volume has a symbolic
// link in place of that file, the runtime creates the target of the link as root and mounts the file there.
func MountAroundRuntime(field, path, inside string) Denial {
	return forbidden("MountNested", field, "%s contains %s, which the container runtime mounts, and which could be a symbolic "+
		"link there: use another path, or mount what you need by subPath", Printable(path), inside)
}

// MountInShare denies a path of the Pod's own, such as a mount path or the working directory, that is inside a mount or
// around one of our mounts. The denial is for containers that see more of the share than the home. The reason is that the
// container runtime creates missing directories of the path as root, and a symbolic link could direct the path into another
// user's home.
func MountInShare(field, path, other string) Denial {
	return forbidden("MountNested", field, "of %s and %s one is inside the other, and notebooks here see more of the share than "+
		"the home: missing directories of that path are created as root, even where the user may not write, or where a symbolic "+
		"link leads to another user's home; use a path outside every mount", Printable(path), Printable(other))
}

// EnvForeign denies a variable that the kubelet reads from one of our volumes (valueFrom.fileKeyRef).
func EnvForeign(field, volume string) Denial {
	return forbidden("EnvForeign", field, "a variable cannot be read from the volume %s, which is the webhook's: remove "+
		"this variable",
		volume)
}

// DeviceForeign denies one of our volumes as a block device of a container.
func DeviceForeign(field, volume string) Denial {
	return forbidden("DeviceForeign", field, "the volume %s cannot be a block device: remove this device", volume)
}

// DeviceNested denies a block device inside a mount. The parameter mount describes that mount, which can also be a mount of
// the Pod's own.
func DeviceNested(field, path, mount string) Denial {
	return forbidden("DeviceNested", field, "%s is inside a mount, %s: the container runtime would create the device there as "+
		"root, and leave it there; use another path, such as one below /dev", Printable(path), mount)
}
