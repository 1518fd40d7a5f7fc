package inject

import (
	"cmp"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Sidecars: the other containers of a Pod, if the notebook container sees more of the share than the home.
//
// A process of the notebook container can pass an open directory over a socket to any process in its network namespace.
// The other process then accesses the directory with its own UID and GID, without a mount of the share. If the notebook
// container sees only the home, only directories of the home can be passed. If the notebook container has the whole share
// (share.exposeEveryHome) or the directories of share.directories, every container of the Pod but the notebook container
// and the init container must run as the user and stay the user:
//
//	field, effective for the container          value
//	runAsUser (the container's, or the Pod's)   the user's UID
//	runAsGroup (likewise)                       the user's GID
//	allowPrivilegeEscalation                    false, so that no setuid program of the image changes the user
//	privileged                                  not true
//	capabilities.add                            empty
//
// A container that the annotation jupyter-user.io/home-in names gets these values (homein.go). Any other container that
// differs from the table is denied, not corrected, because it can need its own UID to work. A process of another Pod can
// receive an open directory too, through a socket in a volume that both Pods mount. The webhook cannot detect this.
//
// With discovery at start no container is denied by this table, because the user's UID is not known at admission. Then only
// share.exposeEveryHome: EvenToRoot shows the notebook container more than the home (home.go).

// denySidecars returns denials for the sidecars that could run as a user other than the Pod's. It returns none if the
// notebook container sees only the home.
func (in *planning) denySidecars() (denials []denial.Denial) {
	if !in.seesMoreThanHome() {
		return nil
	}
	for at, c := range in.pod.AllContainers {
		if c == in.notebook || isInit(at, c) || hasHome(in.homeIn, c) || in.runsAsUser(c) {
			continue
		}
		if len(denials) >= maxDenials {
			break
		}
		field := at.Pointer().Child("securityContext").Field()
		denials = append(denials, denial.SidecarForeign(field, in.identity.UID, in.identity.GID))
	}
	return denials
}

// seesMoreThanHome reports whether the notebook container, running as the user, sees more than the home: the whole share, or
// directories of share.directories, which can also be on further claims. It returns false with discovery at start, also with
// share.exposeEveryHome: EvenToRoot. The notebook container then begins as root, for which mounts.go has rules of its own
// (startsAsRoot), and the UID of the user is not known.
func (in *planning) seesMoreThanHome() bool {
	return in.discovery == config.DiscoveryAtAdmission && in.identity != nil &&
		(in.seesEveryHome() || len(in.planner.config.Share.Directories) > 0)
}

// runsAsUser reports whether a container runs as the user and cannot become another user.
func (in *planning) runsAsUser(c *pod.Container) bool {
	s, ofPod := c.SecurityContext, in.pod.Spec.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || isTrue(s.Privileged) {
		return false
	}
	if s.Capabilities != nil && len(s.Capabilities.Add) > 0 {
		return false
	}
	if ofPod == nil {
		ofPod = &pod.SpecSecurityContext{}
	}
	return effectiveIDIs(s.RunAsUser, ofPod.RunAsUser, in.identity.UID) &&
		effectiveIDIs(s.RunAsGroup, ofPod.RunAsGroup, in.identity.GID)
}

// effectiveIDIs reports whether a container runs with the wanted UID or GID: the number in the container's security context, or
// the number in the Pod's if the container's has none.
func effectiveIDIs(container, pod *int64, want int64) bool {
	id := cmp.Or(container, pod)
	return id != nil && *id == want
}
