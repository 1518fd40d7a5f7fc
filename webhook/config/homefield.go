package config

import (
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxHome is the maximum length of a home field, in bytes.
const maxHome = 1024

// HomesByField reports whether the home field of the user's account (LDAP or passwd) determines the home.
func (s *Share) HomesByField() bool { return s.HomePrefix != "" }

// HomeOf returns the home of a user, relative to the root of the share, for the user's home field. If the home field is
// unusable, home is empty, and why is the reason: the end of a sentence that begins with "the home field". Examples:
//
//	prefix /hpc, user alice     home
//	/hpc/home/a/alice           home/a/alice
//	/hpc/alice                  none: the init container would see the whole share
//	/hpc/home/b/bob             none: the name is not alice
//	/hpc/home/b/../alice        none, like every path that is not in its shortest form
//	/hpc/projects/alice         none if the directory "projects" is in share.directories
//
// HomeOf does not check the owner of the directory above the home; the init container does.
func (s *Share) HomeOf(name, homeField string) (home, why string) {
	below, within := strings.CutPrefix(homeField, strings.TrimSuffix(s.HomePrefix, "/")+"/")
	switch {
	case homeField == "":
		return "", "is empty"
	case len(homeField) > maxHome:
		return "", fmt.Sprintf("is longer than %d bytes", maxHome)
	case pathFault(homeField) != "":
		return "", pathFault(homeField)
	case !within:
		return "", fmt.Sprintf("must be below %s (share.homePrefix)", s.HomePrefix)
	case path.Base(below) != name:
		return "", "must end with the user's name"
	case path.Dir(below) == ".":
		return "", "must not be directly in the root of the share, where the init container would see the whole share"
	}
	if why := s.directoryConflict(below); why != "" {
		return "", why
	}
	return below, ""
}

// directoryConflict returns the reason why a home conflicts with a snapshot directory or with share.directories; empty if
// there is no conflict. It ignores case in paths on the share, because some shares ignore case.
func (s *Share) directoryConflict(home string) string {
	lower := strings.ToLower(home)
	for part := range strings.SplitSeq(lower, "/") {
		if snapshots.Has(part) {
			return fmt.Sprintf("must not lead into %s, which has old versions of all homes", part)
		}
	}
	for _, d := range s.Directories {
		onShare := d.ClaimName == "" && related(lower, strings.ToLower(d.SubPath))
		if onShare || related(path.Join(s.MountPath, home), d.MountPath) {
			return fmt.Sprintf("must lie apart from %s of share.directories", d.MountPath)
		}
	}
	return ""
}

// validateHomePrefix validates share.homePrefix and the settings that depend on it.
func validateHomePrefix(c *Config) field.ErrorList {
	at, attributeAt := field.NewPath("share", "homePrefix"), field.NewPath("identity", "ldap", "users", "home")
	prefix := c.Share.HomePrefix
	if prefix == "" {
		if c.Identity.LDAP.Users.Home == "" {
			return nil
		}
		return field.ErrorList{field.Forbidden(attributeAt, "is read only with share.homePrefix, which is empty: set "+
			"share.homePrefix, or remove this")}
	}
	why := pathFault(prefix)
	switch {
	case prefix[0] != '/':
		why = "must be absolute: it begins with /, as the home fields do"
	case why != "":
	case c.Share.Home != Default().Share.Home:
		why = "takes homes from the home field of each user, but share.home sets them too: remove one of the two"
	case c.Identity.Discovery == DiscoveryAtStart:
		why = "needs discovery at admission, because the home comes with the identity, but identity.discovery is AtStart"
	}
	return faulty(at, prefix, why)
}
