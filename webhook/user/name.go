// Package user turns the labels and annotations of a claimed Pod into a valid user name, or into denials.
//
// A name becomes a directory on the share, a subPath, an argument and a line of passwd. A Name that Parse returns is safe in
// each of them.
package user

import (
	"fmt"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// Name is a user's name: [a-z_][a-z0-9._-]*, with a leading digit or upper case if the configuration allows them. The zero
// value is not a name.
type Name struct{ name string }

// String returns the Unix name.
func (n Name) String() string { return n.name }

// Parse reads a name, with or without a configured domain. field is the label or annotation that has the text, for the
// denial.
func Parse(field, text string, rules config.User) (Name, *denial.Denial) {
	name, domain, hasDomain := strings.Cut(text, "@")
	if hasDomain && !slices.Contains(rules.Domains, domain) {
		return Name{}, new(denial.NameDomain(field, text, strings.Join(rules.Domains, " or ")))
	}
	if why := invalid(name, rules); why != "" {
		return Name{}, new(denial.NameInvalid(field, text, why))
	}
	if isReserved(name, rules.Reserved) {
		return Name{}, new(denial.NameReserved(field, name))
	}
	return Name{name}, nil
}

// invalid returns the reason why a name is invalid; empty if the name is valid.
//
// By default the valid names are those of adduser for system users (SYS_NAME_REGEX), but with the dot that sites use in
// first.last, and without the $ that adduser allows at the end of a name. No valid name has a character that is special in
// a path, a shell, a passwd line or Kubernetes' $(VAR) expansion.
func invalid(name string, rules config.User) string {
	switch {
	case name == "":
		return "the name is empty"
	case name[0] == '.':
		return "a leading dot is reserved for directories of the share, such as .snapshot"
	}
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c == '_':
		case c >= 'A' && c <= 'Z':
			if !rules.AllowUpperCase {
				return "names are lower case here (user.allowUpperCase is off)"
			}
		case i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '-'):
		case i == 0 && c >= '0' && c <= '9':
			if !rules.AllowLeadingDigit {
				return "a name begins with a to z or _ here (user.allowLeadingDigit is off)"
			}
		case i == 0:
			return "a name begins with a to z or _"
		default:
			return "a name is made of a to z, 0 to 9, dot, _ and -"
		}
	}
	// This check is last, because only in a valid name each byte is one character.
	if len(name) > rules.MaxLength {
		return fmt.Sprintf("it has %d characters, and a name has at most %d", len(name), rules.MaxLength)
	}
	return ""
}
