package denial

import (
	"strings"
)

// The denials of this file are about annotations, containers and the Pod as a whole.

// AnnotationInvalid denies a Pod in which an annotation of the webhook has an invalid value. allowed are the valid values.
func AnnotationInvalid(annotation, value string, allowed ...string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q is not one of its values: %s", shorten(value),
		strings.Join(allowed, ", "))
}

// InjectInvalid denies a Pod whose annotation jupyter-user.io/inject has a value other than optOut, the text "false".
func InjectInvalid(annotation, value, optOut string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q is not %q, the only value, which leaves the Pod "+
		"as it is: write that, or remove the annotation to get the user's home", shorten(value), optOut)
}

// NoSuchContainer denies a Pod whose annotation jupyter-user.io/container names a container that the Pod does not have.
func NoSuchContainer(annotation, value string, containers []string) Denial {
	return unprocessable("NoSuchContainer", AnnotationField(annotation), "there is no container named %q for the notebook: the "+
		"pod has %s", shorten(value), list(containers))
}

// These texts say why a name in the annotation jupyter-user.io/home-in is invalid. Each text continues a sentence that
// begins with this name.
const (
	HomeInEmpty    = "names no container: write the names of containers of this Pod, with a comma between two"
	HomeInMissing  = "is no container or init container of this Pod: correct the name, or leave it out"
	HomeInNotebook = "is the notebook container, which always has the home: leave it out"
	HomeInInit     = "is the webhook's own init container, which runs nothing of the Pod: leave it out"
	HomeInProxy    = "is a proxy or an agent, which has a UID of its own and cannot run as the user: leave it out"
	HomeInTwice    = "is named twice: name it once"
)

// HomeInUnusable denies a name in the annotation jupyter-user.io/home-in. why is one of the constants HomeIn….
func HomeInUnusable(annotation, name, why string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "%q %s", shorten(name), why)
}

// HomeInAtStart denies the annotation jupyter-user.io/home-in with discovery at start.
func HomeInAtStart(annotation string) Denial {
	return unprocessable("AnnotationInvalid", AnnotationField(annotation), "a container other than the notebook container can "+
		"have the home only if the UID and GID of the user are known at admission, but this Pod finds them when it starts: "+
		"remove the annotation, or ask the admin for a source of identities")
}

// NoContainer denies a Pod without containers.
func NoContainer() Denial {
	return unprocessable("NoContainer", "spec.containers", "the pod has no container that the notebook could run in")
}

// ProxiesAlone denies a Pod with several containers that are all proxies, by their names or images. first is the name of
// the first container.
func ProxiesAlone(first, annotation string) Denial {
	return unprocessable("NoContainer", "spec.containers", "each container of the pod, such as %s, is a proxy by its name or "+
		"image: add the notebook container, or name one of these in the annotation %s", Printable(first), annotation)
}

// HostProcess denies a Windows host process in a Pod whose spec.os is not windows. The API server would deny the injected Pod
// anyway: in a Pod all containers must be host processes, or none, and the webhook's init container is not a host process.
func HostProcess(field string) Denial {
	return unprocessable("NotLinux", field, "a host process runs on Windows, and a notebook here runs on Linux: remove "+
		"hostProcess, or the label")
}

// NotLinux denies a Pod for an operating system other than Linux. name is the value of spec.os.name.
func NotLinux(name string) Denial {
	return unprocessable("NotLinux", "spec.os.name", "a notebook here runs on Linux, not on %s: UIDs and GIDs mean nothing there",
		Printable(name))
}

// UserNamespace denies a Pod with its own user namespace, where the configuration does not allow such Pods.
func UserNamespace(field string) Denial {
	return unprocessable("UserNamespace", field, "a pod with a user namespace of its own can mount the share only if the "+
		"share's file system supports ID-mapped mounts, and NFS does not: remove hostUsers: false, or ask the admin whether "+
		"this share supports them (share.allowUserNamespaces)")
}

// OwnInitContainer denies an init container that finds the owner of the home, as in Pods written before the webhook was
// installed. The message names everything that must be removed together: the notebook container's command reads a file
// that the init container writes, so the command fails without the init container.
func OwnInitContainer(field, initContainer, notebook, share, scratch string) Denial {
	return forbidden("MountForeign", field, "the init container %s finds the owner of the home, which the webhook does: remove "+
		"this init container, and from the container %s its command and args and its mounts of %s and %s; the volumes may stay",
		Printable(initContainer), Printable(notebook), share, scratch)
}

// SidecarForeign denies a container that could run as another user, in a Pod whose notebook container sees more of the share
// than the home.
func SidecarForeign(field string, uid, gid int64) Denial {
	return forbidden("SidecarForeign", field, "notebooks here see more of the share than the home, and can pass an open "+
		"directory of it to another container: this container needs runAsUser: %d, runAsGroup: %d and "+
		"allowPrivilegeEscalation: false, and neither privileged nor added capabilities; or leave this container out. A service "+
		"mesh's sidecar has a UID of its own: such Pods need a mesh without sidecars", uid, gid)
}

// ContainerTaken denies a container that has the name of the webhook's init container, but is not that init container.
func ContainerTaken(field, name string) Denial {
	return forbidden("ContainerTaken", field, "the name %s belongs to the webhook's init container: rename this container",
		name)
}
