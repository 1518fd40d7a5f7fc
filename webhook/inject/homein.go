package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Home in other containers: sidecars and init containers that the annotation jupyter-user.io/home-in names, such as a
// sidecar with TensorBoard, or an init container that clones a course.
//
// Mounts the home in each of these containers at the same two paths as in the notebook container, and runs each as the
// user, with the privileges of the notebook container. Mounts and privileges are ours, like those of the notebook container
// (mounts.go, privileges.go). The directories of share.directories are not mounted in these containers.
//
//	a name in the annotation                               result
//	a container or an init container                       gets the home
//	a missing or an ephemeral container; an empty name     denied
//	the notebook container; our init container             denied
//	a container that the annotation names a second time    denied
//	a known proxy (image.go), which needs its own UID      denied
//	any name, with discovery at start                      denied: the UID is not known when the container is created
//
// An init container that gets the home runs after our init container, which checks the home.

type homeInPiece struct{ containers []homeInContainer }

// homeInContainer is the plan for one container other than the notebook container that gets the home.
type homeInContainer struct {
	mounts     mountsPiece
	privileges privilegesPiece
}

// findHomeIn finds the containers that the annotation jupyter-user.io/home-in names. It returns denials for the names
// that no container has, or whose container cannot have the home. With discovery at start it denies the annotation as a
// whole.
func (in *planning) findHomeIn() (denials []denial.Denial) {
	value, requested := in.pod.Metadata.Annotations[homeInAnnotation]
	if !requested {
		return nil
	}
	if in.discovery == config.DiscoveryAtStart {
		return []denial.Denial{denial.HomeInAtStart(homeInAnnotation)}
	}
	for name := range strings.SplitSeq(value, ",") {
		if len(denials) >= maxDenials {
			break
		}
		name = strings.TrimSpace(name)
		at, container := in.containerNamed(name)
		if why := in.whyNoHome(name, container); why != "" {
			denials = append(denials, denial.HomeInUnusable(homeInAnnotation, name, why))
			continue
		}
		in.homeIn = append(in.homeIn, homeContainer{at, container})
	}
	return denials
}

// homeContainer is a container other than the notebook container that gets the home. at is its pointer in the Pod.
type homeContainer struct {
	at        pod.Pointer
	container *pod.Container
}

// containerNamed returns the first init container or container of this name, and its pointer in the Pod; nil if there is
// none.
func (in *planning) containerNamed(name string) (pod.Pointer, *pod.Container) {
	for at, c := range in.pod.AllContainers {
		if c.Name == name && at.List != pod.EphemeralContainersPath {
			return at.Pointer(), c
		}
	}
	return "", nil
}

// whyNoHome returns the reason why a container cannot get the home; empty if it can.
func (in *planning) whyNoHome(name string, c *pod.Container) string {
	switch {
	case name == "":
		return denial.HomeInEmpty
	case name == handoff.Container:
		return denial.HomeInInit
	case c == nil:
		return denial.HomeInMissing
	case c == in.notebook:
		return denial.HomeInNotebook
	case hasHome(in.homeIn, c):
		return denial.HomeInTwice
	case isProxy(c):
		return denial.HomeInProxy
	}
	return ""
}

func hasHome(homeIn []homeContainer, c *pod.Container) bool {
	return slices.ContainsFunc(homeIn, func(h homeContainer) bool { return h.container == c })
}

func (in *planning) planHomeIn() (p homeInPiece) {
	if in.identity == nil {
		return p
	}
	for _, h := range in.homeIn {
		mounts := mountsPiece{
			at: h.at, container: h.container, ours: in.ourVolumes(), home: in.home, homeOnShare: in.homeOnShare,
			deniedVolumes: in.deniedVolumes, homeAlone: true,
		}
		for _, at := range []string{in.homeOnShare, in.home} {
			mounts.want = append(mounts.want, in.homeMount(at))
		}
		if len(h.container.VolumeDevices) > 0 {
			mounts.mountAround = nestedPaths(h.container)
		}
		privileges := privilegesPiece{at: h.at.Child("securityContext"), container: h.container, want: in.userContext()}
		p.containers = append(p.containers, homeInContainer{mounts, privileges})
	}
	return p
}

func (in *planning) homeMount(mountPath string) wantedMount {
	return wantedMount{description: description{"the home of ", in.facts.User.String(), ""}, Mount: pod.Mount{
		Name: in.planner.config.Share.VolumeName, MountPath: mountPath, SubPath: in.subPath,
	}}
}

// reconcile must run before the init container's piece, which changes the indices of the other init containers.
func (p homeInPiece) reconcile(_ *pod.Pod, c *changes) {
	for i := range p.containers {
		container := &p.containers[i]
		container.mounts.reconcileContainer(false, c)
		container.privileges.enforce(c, func(fields []string) string {
			return denial.PrivilegesRemovedFrom(container.privileges.container.Name, fields)
		})
	}
}
