package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Confinement: the AppArmor, SELinux and Windows options of our init container.
//
// Nothing is added: the defaults of AppArmor and SELinux are right. A profile or level that a policy engine gives to
// every container of a namespace stays. Pod Security baseline forbids an unconfined AppArmor profile, an SELinux user, an
// SELinux role, an SELinux type that is not one of containerTypes, and the Windows option hostProcess. A field
// appArmorProfile, seLinuxOptions or windowsOptions that has one of these settings is removed as a whole, because our own
// container must not make the Pod violate baseline. The submitted Pod can have these settings, because it can already have
// an init container named jupyter-user-init.

// containerTypes are the SELinux types that Pod Security baseline allows.
var containerTypes = []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

func dropForbidden(c *changes, at pod.Pointer, have *pod.SecurityContext) {
	field := func(key string) member { return member{at, true, key} }
	armor, linux, windows := have.AppArmorProfile, have.SELinuxOptions, have.WindowsOptions
	c.removeField(field("appArmorProfile"), armor != nil && armor.Type != "RuntimeDefault" && armor.Type != "Localhost")
	c.removeField(field("seLinuxOptions"), linux != nil &&
		(linux.User != "" || linux.Role != "" || !slices.Contains(containerTypes, linux.Type)))
	c.removeField(field("windowsOptions"), windows != nil && isTrue(windows.HostProcess))
}
