package config

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// parentsPath is the directory in which the init container sees the directories above those of users, each as
// <claim>/<directory>.
const parentsPath = "/directories"

// IsUsers reports whether each user has their own directory: SubPath ends with {user}.
func (d *Directory) IsUsers() bool { return strings.HasSuffix(d.SubPath, "/"+userPlace) }

// Pattern returns SubPath as a pattern. It must be called only if IsUsers.
func (d *Directory) Pattern() HomePattern { return HomePattern(d.SubPath) }

// SubPathOf returns where the directory of a user is on its claim.
func (d *Directory) SubPathOf(name string) string {
	if d.IsUsers() {
		return d.Pattern().Of(name)
	}
	return d.SubPath
}

// MountPathOf returns where the notebook container of a user sees the directory.
func (d *Directory) MountPathOf(name string) string {
	if p := HomePattern(d.MountPath); strings.HasSuffix(d.MountPath, "/"+userPlace) {
		return p.Of(name)
	}
	return d.MountPath
}

// UserPatterns returns the patterns of the users' directories on a claim. An empty name is the share's claim.
func (s *Share) UserPatterns(claim string) (patterns []HomePattern) {
	for i := range s.Directories {
		if d := &s.Directories[i]; d.ClaimName == claim && d.IsUsers() {
			patterns = append(patterns, d.Pattern())
		}
	}
	return patterns
}

// ParentOf returns the directory above that of a user, as the init container sees it.
func (d *Directory) ParentOf(s *Share, name string) string {
	return path.Join(parentsPath, cmp.Or(d.ClaimName, s.ClaimName), d.Pattern().Parent(name))
}

// hasUserDirectories reports whether the init container sees a directory above those of users.
func (s *Share) hasUserDirectories() bool {
	return slices.ContainsFunc(s.Directories, func(d Directory) bool { return d.IsUsers() })
}

// userSubPath validates where the directories of users are on a claim.
func userSubPath(at *field.Path, dir string) field.ErrorList {
	why := pathFault(dir)
	switch p := HomePattern(dir); {
	case dir[0] == '/':
		why = "must be relative to the root of the share: it does not begin with /"
	case why != "":
	case dir == userPlace:
		why = "must not be directly in the root of the share or of the claim, where the init container would see all of it: move " +
			"the directories into one, such as users/{user}"
	default:
		why = patternFault(p)
	}
	if why != "" {
		return field.ErrorList{field.Invalid(at, dir, why)}
	}
	return nil
}

// directoryMountPath validates where notebooks see a directory. The path may end with the user's name if each user has a
// directory.
func directoryMountPath(at *field.Path, d *Directory) field.ErrorList {
	errs := mountPath(at, d.MountPath)
	if len(errs) > 0 || !strings.ContainsAny(d.MountPath, "{}") {
		return errs
	}
	why := patternFault(HomePattern(d.MountPath))
	switch {
	case path.Dir(d.MountPath) == "/":
		why = "must not be directly in the root of the container, where a user's name could be that of a directory of the image"
	case why == "" && !d.IsUsers():
		why = fmt.Sprintf("can have %[1]s only if subPath ends with %[1]s: all users see one directory, so write one path", userPlace)
	}
	if why != "" {
		return field.ErrorList{field.Invalid(at, d.MountPath, why)}
	}
	return nil
}
