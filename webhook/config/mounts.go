package config

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateMountPath validates a path in containers. A volume is mounted at this path or below it.
func validateMountPath(at *field.Path, dir string) field.ErrorList {
	if dir == "" {
		return field.ErrorList{field.Required(at, "write an absolute path, such as /data")}
	}
	why := pathFault(dir)
	if dir[0] != '/' {
		why = "must be absolute: it begins with /"
	} else if why == "" {
		why = systemFault(dir)
	}
	return faulty(at, dir, why)
}

// mustBeRelative is the error text for a path on the share or on a further claim that begins with /.
const mustBeRelative = "must be relative to the root of the share: it does not begin with /"

// validateRelativePath validates a directory of the share or of a further claim.
func validateRelativePath(at *field.Path, dir string) field.ErrorList {
	if dir == "" {
		return field.ErrorList{field.Required(at, "write a directory of the share, such as home; it cannot be "+
			"the whole share")}
	}
	why := pathFault(dir)
	switch {
	case dir[0] == '/':
		why = mustBeRelative
	case path.Clean(dir) == ".":
		why = "must be a directory of the share, not the whole share"
	}
	return faulty(at, dir, why)
}

// pathFault returns the reason why a path is invalid; empty if it is valid. A path becomes part of a mount, of an argument
// of a program, and of a line of passwd, so it must be valid in all three.
func pathFault(dir string) string {
	switch {
	case !utf8.ValidString(dir):
		return "must be UTF-8: a patch cannot have other bytes"
	case strings.ContainsFunc(dir, unicode.IsControl):
		return "must not contain control characters"
	case slices.Contains(strings.Split(dir, "/"), ".."):
		return `must not contain ".."`
	case path.Clean(dir) != dir:
		return fmt.Sprintf("must be written in its shortest form, %s", path.Clean(dir))
	case strings.Contains(dir, ":"):
		return `must not contain ":", which neither a mount path nor a line of passwd can have`
	case strings.Contains(dir, "$("):
		return `must not contain "$(", which Kubernetes takes for a variable`
	case strings.TrimSpace(dir) != dir:
		return "must not begin or end with a space"
	}
	return ""
}

// systemDirs lists directories that an image needs, or that the node and Kubernetes provide in each container.
var systemDirs = []string{
	"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run/secrets", "/sbin", "/sys", "/usr/bin", "/usr/lib",
	"/usr/lib64", "/usr/local/bin", "/usr/local/lib", "/usr/sbin", "/var/run/secrets",
}

// systemFault returns an error text if a directory is a system directory, is in one, or contains one. A directory that
// contains a system directory is denied because homes can be mounted below it: with notebook.homes /var, the home of a user
// named "run" could hide /var/run/secrets.
func systemFault(dir string) string {
	for _, s := range systemDirs {
		if related(dir, s) {
			return fmt.Sprintf("must lie apart from %s, which a mount here could hide", s)
		}
	}
	return ""
}

// containerDir is a path inside the containers, such as share.mountPath, and the field of the configuration that sets it.
type containerDir struct {
	field *field.Path
	dir   string
}

func (d containerDir) valid() bool { return len(validateMountPath(d.field, d.dir)) == 0 }

// denyOverlap denies d if it overlaps with the other directory: the two are the same, or one contains the other. It does
// not compare invalid directories, because another check denies them.
func denyOverlap(d, other containerDir, why string) *field.Error {
	if !d.valid() || !other.valid() || !related(d.dir, other.dir) {
		return nil
	}
	return field.Invalid(d.field, d.dir, fmt.Sprintf("must lie apart from %s (%s): %s", other.field, other.dir, why))
}

// denyHomeOverlap denies d if it overlaps with the mount of a home below the share's path: the two are the same directory, or
// one contains the other.
func denyHomeOverlap(d, share containerDir, home HomePattern) *field.Error {
	if !d.valid() || !share.valid() || !related(d.dir, share.dir) {
		return nil
	}
	below, within := strings.CutPrefix(d.dir, share.dir+"/")
	if within && !home.overlaps(below) {
		return nil
	}
	return field.Invalid(d.field, d.dir, fmt.Sprintf("must lie apart from share.home (%s): %s", path.Join(share.dir, string(home)),
		hidesHome))
}

const (
	hidesHome    = "a user's name could be that of a directory there, and one mount would hide the other"
	nestedMounts = "a mount inside another one needs a directory there, which cannot be created"
	hidesParents = "below it the init container sees the directories above those of users"
)

// validateMounts denies settings that would give a Pod conflicting mount paths or volume names.
func validateMounts(c *Config) field.ErrorList {
	share := containerDir{field.NewPath("share", "mountPath"), c.Share.MountPath}
	homes := containerDir{field.NewPath("notebook", "homes"), c.Notebook.Homes}
	scratch := containerDir{field.NewPath("scratch", "mountPath"), c.Scratch.MountPath}
	var errs field.ErrorList
	add := func(e *field.Error) {
		if e != nil {
			errs = append(errs, e)
		}
	}
	if homes.dir == path.Join(share.dir, c.Share.Home.above()) && share.valid() {
		add(field.Invalid(homes.field, homes.dir, "must not be where share.home is below share.mountPath: a home is mounted in "+
			"both, and one path cannot be mounted twice"))
	} else {
		add(denyOverlap(homes, share, hidesHome))
	}
	add(denyOverlap(scratch, share, nestedMounts))
	add(denyOverlap(scratch, homes, hidesHome))
	if c.Share.hasUserDirectories() {
		parents := containerDir{field.NewPath("share", "directories"), parentsPath}
		add(denyOverlap(scratch, parents, hidesParents))
		add(denyOverlap(share, parents, hidesParents))
	}
	if c.Share.VolumeName == c.Scratch.VolumeName {
		add(field.Invalid(field.NewPath("scratch", "volumeName"), c.Scratch.VolumeName,
			"must not be share.volumeName: a pod cannot have two volumes of one name"))
	}
	for i, dir := range c.Share.Directories {
		if dir.ClaimName == c.Scratch.VolumeName && dir.ClaimName != "" {
			add(field.Invalid(field.NewPath("share", "directories").Index(i).Child("claimName"), dir.ClaimName,
				"must not be scratch.volumeName: the volume of a further claim has the claim's name"))
		}
	}
	if len(c.Share.Directories) <= maxDirectories {
		for i := range c.Share.Directories {
			add(denyDirectoryMount(c, i, scratch, homes))
		}
	}
	return errs
}

// denyDirectoryMount returns the first conflict of the mount path of share.directories[i] with another mount.
func denyDirectoryMount(c *Config, i int, scratch, homes containerDir) *field.Error {
	list := field.NewPath("share", "directories")
	at := func(i int) containerDir {
		return containerDir{list.Index(i).Child("mountPath"), c.Share.Directories[i].MountPath}
	}
	share := containerDir{field.NewPath("share", "mountPath"), c.Share.MountPath}

	found := []*field.Error{denyOverlap(at(i), scratch, nestedMounts), denyOverlap(at(i), homes, hidesHome)}
	if c.Share.ExposeEveryHome == ExposeNever {
		found = append(found, denyHomeOverlap(at(i), share, c.Share.Home))
	} else {
		found = append(found, denyOverlap(at(i), share, "with share.exposeEveryHome the whole share is mounted there"))
	}
	for j := range i {
		found = append(found, denyOverlap(at(i), at(j), nestedMounts))
	}
	for _, e := range found {
		if e != nil {
			return e
		}
	}
	return nil
}
