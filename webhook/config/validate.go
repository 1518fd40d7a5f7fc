package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate returns the errors in the configuration, with the paths of the fields.
//
// The admin is trusted but makes mistakes. So Validate denies, for example, values that would give one user access to the files
// of another, hide a part of the image, or produce Pods that cannot start.
func (c *Config) Validate() field.ErrorList {
	errs := validateHeader(c)
	errs = append(errs, validateUser(&c.User, field.NewPath("user"))...)
	errs = append(errs, validateShare(&c.Share, field.NewPath("share"))...)
	errs = append(errs, validateScratch(&c.Scratch, field.NewPath("scratch"))...)
	errs = append(errs, validateIdentity(&c.Identity, field.NewPath("identity"))...)
	errs = append(errs, validateInit(&c.Init, field.NewPath("init"))...)
	errs = append(errs, validateNotebook(&c.Notebook, field.NewPath("notebook"))...)
	errs = append(errs, validateMounts(c)...)
	errs = append(errs, validateHubNames(c)...)
	errs = append(errs, validateHomePrefix(c)...)
	return append(errs, validateDiscovery(c)...)
}

func validateHeader(c *Config) field.ErrorList {
	errs := oneOf(field.NewPath("apiVersion"), c.APIVersion, apiVersion)
	errs = append(errs, oneOf(field.NewPath("kind"), c.Kind, kind)...)
	return append(errs, oneOf(field.NewPath("mode"), c.Mode, ModeEnforce, ModeWarn)...)
}

// possibleName matches every name that a user can have under any configuration.
var possibleName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

func validateUser(u *User, path *field.Path) field.ErrorList {
	errs := validateNames(u.Domains, path.Child("domains"), domainFaults)
	if len(u.Domains) > 1 && !u.DomainsAreSynonyms {
		errs = append(errs, field.Invalid(path.Child("domains"), u.Domains, "makes one user of "+"alice@"+u.Domains[0]+" and alice@"+
			u.Domains[1]+": write domainsAreSynonyms: true if a name is the same user in each, or write one domain"))
	}
	errs = append(errs, oneOf(path.Child("unmapped"), u.Unmapped, UnmappedDeny, UnmappedName)...)
	errs = append(errs, validateOptionalFile(path.Child("mapFile"), u.MapFile)...)
	if u.MaxLength < 1 || u.MaxLength > 32 {
		errs = append(errs, field.Invalid(path.Child("maxLength"), u.MaxLength,
			"must be between 1 and 32, the most that useradd takes"))
	}
	seen := map[string]bool{}
	for i, name := range u.Reserved {
		at, lower := path.Child("reserved").Index(i), strings.ToLower(name)
		switch {
		case name == "":
			errs = append(errs, field.Required(at, "an empty name reserves nothing; write a name or remove the element"))
		case len(name) > 32 || !possibleName.MatchString(name):
			errs = append(errs, field.Invalid(at, name, "no user can have this name (a letter, digit or _, then letters, "+
				"digits, dot, _ and -, 32 in all), so there is nothing to reserve; write the name alone"))
		case seen[lower]:
			errs = append(errs, field.Duplicate(at, name))
		}
		seen[lower] = true
	}
	return append(errs, validateNames(u.HubComponents, path.Child("hubComponents"), componentFaults)...)
}

func domainFaults(domain string) []string {
	if strings.Contains(domain, "@") {
		return []string{"must be the domain alone, without the @"}
	}
	return validation.IsDNS1123Subdomain(domain)
}

// validateHubNames denies a configuration in which both a file and the directory service map hub names.
func validateHubNames(c *Config) field.ErrorList {
	if c.User.MapFile == "" || c.Identity.LDAP.Users.HubName == "" {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("user", "mapFile"), "identity.ldap.users.hubName also maps hub names "+
		"to users: remove one of the two")}
}

// componentFaults returns the reasons why a value of the component label is invalid. In the chart's policies, an empty
// value would also match Pods without the label.
func componentFaults(component string) []string {
	if component == "" {
		return []string{"must not be empty; write the value of the label component that users' servers have"}
	}
	return validation.IsValidLabelValue(component)
}

func validateIdentity(i *Identity, path *field.Path) field.ErrorList {
	errs := oneOf(path.Child("discovery"), i.Discovery, DiscoveryAuto, DiscoveryAtAdmission, DiscoveryAtStart)
	const why = "must be between 1 and 2147483647: 0 is root, and Kubernetes takes no more than 31 bits"
	if !validID(i.MinUID) {
		errs = append(errs, field.Invalid(path.Child("minUID"), i.MinUID, why))
	}
	if !validID(i.MinGID) {
		errs = append(errs, field.Invalid(path.Child("minGID"), i.MinGID, why))
	}
	seen := sets.New[int64]()
	for n, gid := range i.DeniedGIDs {
		at := path.Child("deniedGIDs").Index(n)
		errs = append(errs, invalid(at, gid, validation.IsValidGroupID(gid))...)
		if seen.Has(gid) {
			errs = append(errs, field.Duplicate(at, gid))
		}
		seen.Insert(gid)
	}
	errs = append(errs, validateImageGroups(i, path.Child("imageGroups"))...)
	if i.MaxGroups < 0 || i.MaxGroups > ngroupsMax {
		errs = append(errs, field.Invalid(path.Child("maxGroups"), i.MaxGroups,
			fmt.Sprintf("must be between 0 and %d, the most that Linux gives a process", ngroupsMax)))
	}
	errs = append(errs, oneOf(path.Child("tooManyGroups"), i.TooManyGroups, TooManyGroupsDeny, TooManyGroupsCut)...)
	return append(errs, validateLDAP(&i.LDAP, path.Child("ldap"))...)
}

// nogroup is the GID that NFS shows for a group that it cannot map.
const nogroup = 65534

// validateImageGroups denies GIDs with which a Pod could access files of others on the share, such as the GID of root's
// group or of a user's group, because any Pod could ask for them.
func validateImageGroups(i *Identity, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[int64]()
	for n, gid := range i.ImageGroups {
		at := path.Index(n)
		switch {
		case gid < 1:
			errs = append(errs, field.Invalid(at, gid, "must be at least 1: 0 is root's group"))
		case gid == nogroup:
			errs = append(errs, field.Invalid(at, gid, "must not be nogroup, which is what NFS shows for a group that it cannot map"))
		case gid >= i.MinGID:
			errs = append(errs, field.Invalid(at, gid, fmt.Sprintf("must be under identity.minGID (%d): a group from that "+
				"number on can be a user's, and any Pod could ask for it", i.MinGID)))
		case slices.Contains(i.DeniedGIDs, gid):
			errs = append(errs, field.Invalid(at, gid, "must not be one of identity.deniedGIDs: remove it here or there"))
		case seen.Has(gid):
			errs = append(errs, field.Duplicate(at, gid))
		}
		seen.Insert(gid)
	}
	return errs
}

// ngroupsMax is the kernel's NGROUPS_MAX.
const ngroupsMax = 65536

func validID(id int64) bool { return id >= 1 && id <= math.MaxInt32 }

// validateDiscovery denies settings that have no effect if discovery is AtStart.
func validateDiscovery(c *Config) field.ErrorList {
	if c.Identity.Discovery != DiscoveryAtStart {
		return nil
	}
	var errs field.ErrorList
	share := field.NewPath("share")
	if len(c.Share.Directories) > 0 {
		errs = append(errs, field.Forbidden(share.Child("directories"), "with identity.discovery AtStart no pod would have them: "+
			"it starts as root, and could access the files of other users; remove them, or choose Auto or AtAdmission"))
	}
	if c.Share.FSGroup == FSGroupKeep {
		errs = append(errs, field.Forbidden(share.Child("fsGroup"), "with identity.discovery AtStart no group is known to be the "+
			"user's, so none could stay; write Remove, or choose Auto or AtAdmission"))
	}
	if c.Share.ExposeEveryHome == ExposeToTheUser {
		errs = append(errs, field.Forbidden(share.Child("exposeEveryHome"), fmt.Sprintf("with identity.discovery AtStart no "+
			"pod would have it, because it starts as root; write %s, or choose Auto or AtAdmission", ExposeNever)))
	}
	return errs
}

// oneOf returns the error for a value that is not one of the choices.
func oneOf[T ~string](at *field.Path, value T, choices ...T) field.ErrorList {
	if slices.Contains(choices, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, value, choices)}
}

// faulty returns the error for an invalid value; why is the reason, or empty if the value is valid.
func faulty(at *field.Path, value any, why string) field.ErrorList {
	if why == "" {
		return nil
	}
	return field.ErrorList{field.Invalid(at, value, why)}
}

func invalid(path *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, message := range messages {
		errs = append(errs, field.Invalid(path, value, message))
	}
	return errs
}

// validateNames denies invalid names and duplicates in a list.
func validateNames(list []string, path *field.Path, check func(string) []string) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, name := range list {
		errs = append(errs, invalid(path.Index(i), name, check(name))...)
		if seen.Has(name) {
			errs = append(errs, field.Duplicate(path.Index(i), name))
		}
		seen.Insert(name)
	}
	return errs
}
