package config

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// parentsPath is a directory in the init container. The parents of users' own directories (share.directories with {user})
// are mounted there, each at <parentsPath>/<claim>/<path of the parent on the claim>.
const parentsPath = "/directories"

// IsPerUser reports whether each user has their own directory: SubPath ends with {user}.
func (d *Directory) IsPerUser() bool { return strings.HasSuffix(d.SubPath, "/"+userPlaceholder) }

// Pattern returns SubPath as a pattern. It must be called only if IsPerUser returns true.
func (d *Directory) Pattern() HomePattern { return HomePattern(d.SubPath) }

// SubPathOf returns the path of the directory on its claim, for a user.
func (d *Directory) SubPathOf(name string) string {
	if d.IsPerUser() {
		return d.Pattern().Of(name)
	}
	return d.SubPath
}

// MountPathOf returns the path of the directory in the notebook container of a user.
func (d *Directory) MountPathOf(name string) string {
	if p := HomePattern(d.MountPath); strings.HasSuffix(d.MountPath, "/"+userPlaceholder) {
		return p.Of(name)
	}
	return d.MountPath
}

// UserPatterns returns the patterns of the users' own directories on a further claim, or on the share if claim is empty.
func (s *Share) UserPatterns(claim string) (patterns []HomePattern) {
	for i := range s.Directories {
		if d := &s.Directories[i]; d.ClaimName == claim && d.IsPerUser() {
			patterns = append(patterns, d.Pattern())
		}
	}
	return patterns
}

// ParentOf returns the path at which the init container sees the parent of a user's own directory. It must be called only
// if IsPerUser returns true.
func (d *Directory) ParentOf(s *Share, name string) string {
	return path.Join(parentsPath, cmp.Or(d.ClaimName, s.ClaimName), d.Pattern().Parent(name))
}

func (s *Share) hasUserDirectories() bool {
	return slices.ContainsFunc(s.Directories, func(d Directory) bool { return d.IsPerUser() })
}

// validateDirectoryMountPath validates the mount path of a directory. The mount path can end with {user} if each user has
// their own directory.
func validateDirectoryMountPath(at *field.Path, d *Directory) field.ErrorList {
	errs := validateMountPath(at, d.MountPath)
	if len(errs) > 0 || !strings.ContainsAny(d.MountPath, "{}") {
		return errs
	}
	why := patternFault(HomePattern(d.MountPath))
	switch {
	case path.Dir(d.MountPath) == "/":
		why = "must not be directly in the root of the container, where a user's name could be that of a directory of the image"
	case why == "" && !d.IsPerUser():
		why = fmt.Sprintf("can have %[1]s only if subPath ends with %[1]s: all users see one directory, so write one path",
			userPlaceholder)
	}
	return faulty(at, d.MountPath, why)
}
