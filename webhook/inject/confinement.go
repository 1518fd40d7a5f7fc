package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Confinement: what a node's security modules hold our init container to.
//
// Nothing is added: AppArmor's and SELinux's defaults are right, and policy engines give every container of a namespace a
// profile or a level, which stays. What Pod Security baseline forbids is ours and taken off, because the container is: an
// unconfined AppArmor profile, an SELinux user, role or foreign type, a host process. Nobody but who prepared a look-alike of
// the container has put such a thing there, and the pod would miss its level by a container that is not its own.

// containerTypes are SELinux's for containers.
var containerTypes = []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

func dropUnconfined(c *changes, at pod.Pointer, have *pod.SecurityContext) {
	field := func(key string) member { return member{at, true, key} }
	armor, linux, windows := have.AppArmorProfile, have.SELinuxOptions, have.WindowsOptions
	c.removeField(field("appArmorProfile"), armor != nil && armor.Type != "RuntimeDefault" && armor.Type != "Localhost")
	c.removeField(field("seLinuxOptions"), linux != nil &&
		(linux.User != "" || linux.Role != "" || !slices.Contains(containerTypes, linux.Type)))
	c.removeField(field("windowsOptions"), windows != nil && isTrue(windows.HostProcess))
}
