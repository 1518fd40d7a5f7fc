package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Confinement: the settings of the node's security modules on our init container.
//
// Nothing is added: the defaults of AppArmor and SELinux are right. A profile or level that a policy engine gives to every
// container of a namespace stays. Settings that Pod Security baseline forbids are removed, because our own container must not
// make the Pod violate baseline: an unconfined AppArmor profile, an SELinux user, role or foreign type, a host process. Only
// an init container that the Pod has already can have such settings.

// containerTypes are the SELinux types that Pod Security baseline allows.
var containerTypes = []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

func dropUnconfined(c *changes, at pod.Pointer, have *pod.SecurityContext) {
	field := func(key string) member { return member{at, true, key} }
	armor, linux, windows := have.AppArmorProfile, have.SELinuxOptions, have.WindowsOptions
	c.removeField(field("appArmorProfile"), armor != nil && armor.Type != "RuntimeDefault" && armor.Type != "Localhost")
	c.removeField(field("seLinuxOptions"), linux != nil &&
		(linux.User != "" || linux.Role != "" || !slices.Contains(containerTypes, linux.Type)))
	c.removeField(field("windowsOptions"), windows != nil && isTrue(windows.HostProcess))
}
