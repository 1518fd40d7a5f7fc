package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Sidecars: who runs beside a notebook that sees more of the share than the home.
//
// The notebook can hand an open directory over a socket to any process that shares its network namespace, and there the other
// process's UID and GID count: no mount of the share is needed for it. With the home alone that gives nothing away, because a
// directory of the home leads to the home. Where the notebook has the whole share (share.exposeEveryHome) or further directories
// (share.directories), every other container of the Pod must be the user and must stay the user:
//
//	field, effective for the container          value
//	runAsUser (the container's, else the Pod's) the user's UID
//	runAsGroup (likewise)                       the user's GID
//	allowPrivilegeEscalation                    false, so that no setuid program of the image makes another user of it
//	privileged                                  not true
//	capabilities.add                            empty
//
// A container that the annotation jupyter-user.io/home-in names is made the user (homein.go). Nothing else is put right: a
// sidecar that needs another UID would not work as the user, and only its author knows. A second Pod that shares a volume
// with the notebook can be handed a directory too, and cannot be seen from here.

// denySidecars returns a denial for each container beside the notebook that could be somebody else.
func (in *planning) denySidecars() (refusals []denial.Denial) {
	if !in.seesMoreThanHome() {
		return nil
	}
	for at, c := range in.pod.AllContainers {
		if c == in.notebook || isInit(at, c) || in.hasHome(c) || in.isUser(c) {
			continue
		}
		if len(refusals) >= maxDenials {
			break
		}
		field := at.Pointer().Child("securityContext").Field()
		refusals = append(refusals, denial.SidecarForeign(field, in.identity.UID, in.identity.GID))
	}
	return refusals
}

// seesMoreThanHome reports whether the notebook has more of the share than the home. Where the identity is found at start, it has
// the home alone, or the configuration has given up every home (EvenToRoot).
func (in *planning) seesMoreThanHome() bool {
	return in.discovery == config.DiscoveryAtAdmission && in.identity != nil &&
		(in.seesEveryHome() || len(in.planner.config.Share.Directories) > 0)
}

// isUser reports whether a container runs as the user, and can become nobody else.
func (in *planning) isUser(c *pod.Container) bool {
	s, whole := c.SecurityContext, in.pod.Spec.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || isTrue(s.Privileged) {
		return false
	}
	if s.Capabilities != nil && len(s.Capabilities.Add) > 0 {
		return false
	}
	if whole == nil {
		whole = &pod.SpecSecurityContext{}
	}
	return effective(s.RunAsUser, whole.RunAsUser, in.identity.UID) && effective(s.RunAsGroup, whole.RunAsGroup, in.identity.GID)
}

// effective reports whether a number of the container's, or else of the Pod's, is the wanted one.
func effective(container, pod *int64, want int64) bool {
	if container != nil {
		return *container == want
	}
	return pod != nil && *pod == want
}
