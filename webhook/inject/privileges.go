package inject

import (
	"cmp"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Privileges: the UID and GID of the notebook container, and the other fields of its security context that limit privileges.
//
// With discovery at admission: runAsUser and runAsGroup are the user's, runAsNonRoot is true and all capabilities are
// dropped. With discovery at start: runAsUser and runAsGroup are 0 and the capabilities are exactly SETUID and SETGID,
// which jupyter-user-init needs to become the user. With either discovery, allowPrivilegeEscalation is false, the seccomp
// profile is RuntimeDefault or a localhost profile that the Pod has chosen, privileged is off, and /proc is masked.
//
// All of these fields are ours: a different value is replaced or removed. A Pod that asked for privileges gets a warning,
// and with discovery at start also a Pod that asked for runAsNonRoot. The other fields of the container's security context,
// such as readOnlyRootFilesystem, SELinux and AppArmor, are the Pod's.

type privilegesPiece struct {
	at        pod.Pointer
	container *pod.Container
	want      *pod.SecurityContext
}

// asRoot is the security context of a container that starts as root, and asUser of one that starts as the user. userContext
// adds the user's UID and GID to asUser. The init container's security context (init.go) derives from asUser.
var (
	asRoot = pod.SecurityContext{
		RunAsUser:                new(int64(0)),
		RunAsGroup:               new(int64(0)),
		RunAsNonRoot:             new(false),
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &pod.Capabilities{Drop: []string{"ALL"}, Add: []string{"SETUID", "SETGID"}},
		SeccompProfile:           &pod.Profile{Type: "RuntimeDefault"},
	}
	asUser = pod.SecurityContext{
		RunAsNonRoot:             new(true),
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &pod.Capabilities{Drop: []string{"ALL"}},
		SeccompProfile:           &pod.Profile{Type: "RuntimeDefault"},
	}
)

func (in *planning) planPrivileges() privilegesPiece {
	want := &asRoot
	if in.discovery == config.DiscoveryAtAdmission && in.identity != nil {
		want = in.userContext()
	}
	return privilegesPiece{in.notebookAt.Child("securityContext"), in.notebook, want}
}

// userContext returns the security context of a container that starts as the user. in.identity must not be nil.
func (in *planning) userContext() *pod.SecurityContext {
	want := asUser
	want.RunAsUser, want.RunAsGroup = &in.identity.UID, &in.identity.GID
	return &want
}

func (p privilegesPiece) reconcile(document *pod.Pod, c *changes) {
	p.enforce(c, denial.PrivilegesRemoved)
	if p.asksForNonRoot(document) && !*p.want.RunAsNonRoot {
		c.warn(denial.StartsAsRoot())
	}
}

// asksForNonRoot reports whether the container or, if the container does not set the field, the Pod sets runAsNonRoot to true.
func (p privilegesPiece) asksForNonRoot(document *pod.Pod) bool {
	var ofContainer, ofPod *bool
	if s := p.container.SecurityContext; s != nil {
		ofContainer = s.RunAsNonRoot
	}
	if s := document.Spec.SecurityContext; s != nil {
		ofPod = s.RunAsNonRoot
	}
	return isTrue(cmp.Or(ofContainer, ofPod))
}

// enforce sets the fields of the security context to the planned values. If the Pod asks for privileges that it does not
// get, the function "warning" returns the warning for the fields with which it asks.
func (p privilegesPiece) enforce(c *changes, warning func(fields []string) string) {
	have, exists := p.container.SecurityContext, p.container.SecurityContext != nil
	if !exists {
		have = &pod.SecurityContext{}
	}
	if excess := p.excessPrivileges(have); len(excess) > 0 {
		c.warn(warning(excess))
	}
	putPrivileges(c, member{object: p.at, exists: exists}, have, p.want)
}

func isTrue(b *bool) bool { return b != nil && *b }

// excessPrivileges returns the names of the fields with which the Pod asks for privileges that it does not get. The list
// SETUID, SETGID is not such a request: an earlier review with discovery at start can have added it.
func (p privilegesPiece) excessPrivileges(have *pod.SecurityContext) (fields []string) {
	if isTrue(have.Privileged) {
		fields = append(fields, "privileged")
	}
	if isTrue(have.AllowPrivilegeEscalation) {
		fields = append(fields, "allowPrivilegeEscalation")
	}
	if have.Capabilities != nil && len(have.Capabilities.Add) > 0 &&
		!slices.Equal(have.Capabilities.Add, []string{"SETUID", "SETGID"}) {
		fields = append(fields, "capabilities.add")
	}
	if have.ProcMount != nil && *have.ProcMount == "Unmasked" {
		fields = append(fields, "procMount")
	}
	if have.SeccompProfile != nil && have.SeccompProfile.Type == "Unconfined" {
		fields = append(fields, "seccompProfile")
	}
	return fields
}

// putPrivileges sets the fields that limit privileges to the planned values. It keeps a seccomp profile of type Localhost.
func putPrivileges(c *changes, m member, have, want *pod.SecurityContext) {
	field := func(key string) member { return member{m.object, m.exists, key} }
	putField(c, ours, field("runAsUser"), have.RunAsUser, *want.RunAsUser)
	putField(c, ours, field("runAsGroup"), have.RunAsGroup, *want.RunAsGroup)
	putField(c, ours, field("runAsNonRoot"), have.RunAsNonRoot, *want.RunAsNonRoot)
	putField(c, ours, field("allowPrivilegeEscalation"), have.AllowPrivilegeEscalation, *want.AllowPrivilegeEscalation)
	putField(c, ours, field("capabilities"), have.Capabilities, *want.Capabilities)
	if have.SeccompProfile != nil && have.SeccompProfile.Type == "Localhost" {
		c.recordKept(field("seccompProfile"))
	} else {
		putField(c, ours, field("seccompProfile"), have.SeccompProfile, *want.SeccompProfile)
	}
	c.removeField(field("privileged"), have.Privileged != nil && *have.Privileged)
	c.removeField(field("procMount"), have.ProcMount != nil && *have.ProcMount != "Default")
}
