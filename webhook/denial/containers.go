package denial

import (
	"strings"
)

// These denials are about annotations, containers and the Pod as a whole.

// AnnotationInvalid denies an invalid value of one of our annotations.
func AnnotationInvalid(annotation, value string, allowed ...string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q is not one of its values: %s", shorten(value),
		strings.Join(allowed, ", "))
}

// InjectInvalid denies a Pod whose opt-out annotation has another value than "false".
func InjectInvalid(annotation, value, optOut string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q is not %q, the one value that leaves a Pod as it "+
		"is: write that, or remove the annotation and get the user's home", shorten(value), optOut)
}

// NoSuchContainer denies an annotation that names a missing container.
func NoSuchContainer(annotation, value string, containers []string) Denial {
	return unprocessable("NoSuchContainer", AnnotationField(annotation), "there is no container named %q for the notebook: the "+
		"pod has %s", shorten(value), list(containers))
}

// Why a container that the annotation jupyter-user.io/home-in names cannot have the home. Each reason follows the name.
const (
	HomeInEmpty    = "names no container: write the names of containers of this Pod, with a comma between two"
	HomeInMissing  = "is no container or init container of this Pod: correct the name, or leave it out"
	HomeInNotebook = "is the notebook container, which has the home by itself: leave it out"
	HomeInInit     = "is the webhook's own init container, in which nothing of a Pod's runs: leave it out"
	HomeInProxy    = "is the proxy of a service mesh, which has a UID of its own and cannot be the user: leave it out"
	HomeInTwice    = "is there twice: once is enough"
)

// HomeInUnusable denies a name among the other containers that request the home. why is one of the reasons above.
func HomeInUnusable(annotation, name, why string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q %s", shorten(name), why)
}

// HomeInAtStart denies the home in other containers with discovery at start.
func HomeInAtStart(annotation string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "other containers than the notebook container can have "+
		"the home only if the UID and GID of the user are known at admission, and here the Pod finds them when it starts: "+
		"remove the annotation, or ask the admin for a source of identities")
}

// NoContainer denies a Pod without containers.
func NoContainer() Denial {
	return unprocessable("NoContainer", "spec.containers", "the pod has no container that the notebook could run in")
}

// ProxiesAlone denies a Pod of several containers, each of which is a proxy by its name or image.
func ProxiesAlone(first, annotation string) Denial {
	return unprocessable("NoContainer", "spec.containers", "each container of the pod is a proxy by its name or image, as %s is: "+
		"add the notebook's, or name one of these by the annotation %s", first, annotation)
}

// HostProcess denies a Pod of Windows that does not say so. With an init container that is none, the API server would deny it as
// invalid.
func HostProcess(field string) Denial {
	return unprocessable("NotLinux", field, "a host process is one of Windows, and a notebook here runs on Linux: remove "+
		"hostProcess, or the label")
}

// NotLinux denies a Pod for another operating system.
func NotLinux(name string) Denial {
	return unprocessable("NotLinux", "spec.os.name", "a notebook here runs on Linux, not on %s: UIDs and GIDs mean nothing there",
		Printable(name))
}

// UserNamespace denies a Pod with its own user namespace, if the share cannot be mounted into one.
func UserNamespace(field string) Denial {
	return unprocessable("UserNamespace", field, "a pod with a user namespace of its own can mount the share only where its file "+
		"system knows ID-mapped mounts, and NFS does not: remove hostUsers: false, or ask the admin whether this share does "+
		"(share.allowUserNamespaces)")
}

// DoneByTheWebhook denies an init container that finds the owner of the home, as Pods had it before the webhook. It names
// everything to remove together: without the init container, the command that reads its file fails.
func DoneByTheWebhook(field, initContainer, notebook, share, scratch string) Denial {
	return forbidden("MountForeign", field, "the init container %s finds the owner of the home, which the webhook does: remove "+
		"this init container, and from the container %s its command and args and its mounts of %s and %s; the volumes may stay",
		initContainer, notebook, share, scratch)
}

// SidecarForeign denies a container that could run as another user, beside a notebook that sees more of the share than the
// home.
func SidecarForeign(field string, uid, gid int64) Denial {
	return forbidden("SidecarForeign", field, "notebooks here see more of the share than the home, and a container beside one can "+
		"be handed an open directory of it: this container needs runAsUser: %d, runAsGroup: %d and allowPrivilegeEscalation: false, "+
		"and neither privileged nor added capabilities; or leave it out. A service mesh's sidecar has a UID of its own: such Pods "+
		"need a mesh without sidecars", uid, gid)
}

// ContainerTaken denies any other container with the init container's name.
func ContainerTaken(field, name string) Denial {
	return forbidden("ContainerTaken", field, "the name %s belongs to the webhook's init container: rename this container",
		name)
}
