package config

import (
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// HomePattern is the pattern for the path of a user's home, relative to the root of the share, and for the paths of users'
// own directories (share.directories). {user} is the user's name, and {initial} the first character of the name:
//
//	pattern                 home of alice
//	home/{user}             home/alice
//	home/{initial}/{user}   home/a/alice
//
// There are no other placeholders, because the webhook and the chart's policies compute the home from the name alone. If the
// paths of homes also have a department, a group or a project, the homes must come from the home fields of the accounts
// (share.homePrefix).
//
// {user} must be the last directory, and must not occur elsewhere, because no user may own a directory above a home.
type HomePattern string

const (
	userPlaceholder    = "{user}"
	initialPlaceholder = "{initial}"
)

// Of returns the home of a user, relative to the root of the share.
func (p HomePattern) Of(name string) string { return p.Parent(name) + "/" + name }

// Parent returns the directory above the home of a user, relative to the root of the share.
func (p HomePattern) Parent(name string) string {
	return strings.ReplaceAll(p.above(), initialPlaceholder, name[:min(1, len(name))])
}

// aboveHome is a directory above the home of a user.
type aboveHome struct {
	// Dir is relative to the root of the share.
	Dir string
	// IsInitial reports whether the pattern has {initial} as the last part of Dir.
	IsInitial bool
}

// Above returns the directories above the home of a user, the topmost first. The root of the share is not one of them.
func (p HomePattern) Above(name string) (above []aboveHome) {
	dir := ""
	for part := range strings.SplitSeq(p.above(), "/") {
		isInitial := part == initialPlaceholder
		if isInitial {
			part = name[:min(1, len(name))]
		}
		dir = path.Join(dir, part)
		above = append(above, aboveHome{dir, isInitial})
	}
	return above
}

// ParentIsFixed reports whether the homes of all users are in one directory.
func (p HomePattern) ParentIsFixed() bool { return !strings.Contains(string(p), initialPlaceholder) }

// Beginning returns the leading directories of the pattern that do not depend on the name; "." if there are none.
func (p HomePattern) Beginning() string {
	beginning, _, _ := strings.Cut(string(p), "{")
	return path.Clean(beginning)
}

func (p HomePattern) above() string { return strings.TrimSuffix(string(p), "/"+userPlaceholder) }

// overlaps reports whether a directory of the share can be, contain, or be inside the home of any user. The directory can be
// a pattern too. overlaps ignores case, because some shares ignore case.
func (p HomePattern) overlaps(dir string) bool {
	return related(strings.ToLower(string(p)), strings.ToLower(dir))
}

// related reports whether two clean paths, or patterns of paths, can be the same, or one inside the other.
func related(a, b string) bool {
	as, bs := partsOf(a), partsOf(b)
	for i := range min(len(as), len(bs)) {
		if !canBeSame(as[i], bs[i]) {
			return false
		}
	}
	return true
}

// partsOf returns the directories of a clean path; none for a root.
func partsOf(dir string) []string {
	dir = strings.TrimPrefix(dir, "/")
	if dir == "" {
		return nil
	}
	return strings.Split(dir, "/")
}

// canBeSame reports whether two parts of patterns can match the same directory name.
func canBeSame(a, b string) bool {
	switch {
	case a == userPlaceholder || b == userPlaceholder:
		return true
	case a == initialPlaceholder:
		return b == initialPlaceholder || len(b) == 1
	case b == initialPlaceholder:
		return len(a) == 1
	}
	return a == b
}

func validateHomePattern(at *field.Path, p HomePattern) field.ErrorList {
	if p == "" {
		return field.ErrorList{field.Required(at, "write where the home of a user is on the share, such as home/{user}")}
	}
	return validatePattern(at, p, "must not be directly in the root of the share, where the init container would see the whole "+
		"share: move the homes into a directory, such as home/{user}")
}

// validatePattern validates a pattern that is not empty. whyNotInRoot is the error text for a pattern of directories in the root
// of the share or of a further claim.
func validatePattern(at *field.Path, p HomePattern, whyNotInRoot string) field.ErrorList {
	why := pathFault(string(p))
	switch {
	case p[0] == '/':
		why = mustBeRelative
	case why != "":
	case p == userPlaceholder || p == ".":
		why = whyNotInRoot
	default:
		why = patternFault(p)
	}
	return faulty(at, string(p), why)
}

// patternFault returns the reason why a pattern is invalid; empty if it is valid.
func patternFault(p HomePattern) string {
	parts := strings.Split(string(p), "/")
	last := len(parts) - 1
	initials := 0
	for i, part := range parts {
		switch {
		case part == initialPlaceholder:
			initials++
		case part == userPlaceholder && i == last:
		case part == userPlaceholder:
			return "must have {user} only at its end: the directory above a home must not be a user's"
		case strings.ContainsAny(part, "{}"):
			return fmt.Sprintf("must not have %s: only {user} and {initial} can be in braces, each as a whole directory", part)
		}
	}
	if parts[last] != userPlaceholder {
		return fmt.Sprintf("must end with the user's name, such as %s/{user}", p)
	}
	if initials > 1 {
		return "must have {initial} only once"
	}
	return ""
}
