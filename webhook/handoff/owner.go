package handoff

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// Owner is the owner of the home that the init container found. With discovery at admission, GID is the GID with which the
// Pod was admitted, not the home's. The init container writes an Owner as the file uid-gid.env:
//
//	USER_UID=5003
//	USER_GID=6003
//	USER_NAME=qiang.guo03
//	USER_HOME_INODE=1311768467463790320
//	USER_HOME_DEVICE=64769
type Owner struct {
	UID, GID int64
	Name     string
	// HomeInode is the inode number of the home. When the notebook container starts, jupyter-user-init compares the mounted home
	// with it. A different number on the same file system shows that the home was replaced meanwhile.
	HomeInode uint64
	// HomeDevice is the number of the home's file system. It can change while a Pod runs, if a network file system is
	// mounted again, so no check depends on it. The number is only used to explain a different inode number.
	HomeDevice uint64
}

// Env returns the content of uid-gid.env.
func (o Owner) Env() []byte {
	return fmt.Appendf(nil, "USER_UID=%d\nUSER_GID=%d\nUSER_NAME=%s\nUSER_HOME_INODE=%d\nUSER_HOME_DEVICE=%d\n",
		o.UID, o.GID, o.Name, o.HomeInode, o.HomeDevice)
}

// ParseEnv parses uid-gid.env. The file must have each of the five lines of Owner exactly once, in any order, with each
// number in its canonical form. ParseEnv is strict because the program that reads the file runs as root.
func ParseEnv(data []byte) (Owner, error) {
	text, complete := strings.CutSuffix(string(data), "\n")
	if !complete {
		return Owner{}, errors.New("the file is empty or incomplete")
	}
	values := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		name, value, ok := strings.Cut(line, "=")
		if _, exists := values[name]; !ok || exists {
			return Owner{}, fmt.Errorf("line %d is not NAME=value, or has a name for the second time", i+1)
		}
		values[name] = value
	}

	var o Owner
	var errs []error
	take := func(name string, set func(string) error) {
		value, ok := values[name]
		delete(values, name)
		if err := set(value); !ok || err != nil {
			errs = append(errs, fmt.Errorf("%s is missing or wrong", name))
		}
	}
	take("USER_UID", func(v string) (err error) { o.UID, err = identity.ParseID(v); return err })
	take("USER_GID", func(v string) (err error) { o.GID, err = identity.ParseID(v); return err })
	take("USER_NAME", func(v string) error { o.Name = v; return checkName(v) })
	take("USER_HOME_INODE", func(v string) (err error) { o.HomeInode, err = parseWide(v); return err })
	take("USER_HOME_DEVICE", func(v string) (err error) { o.HomeDevice, err = parseWide(v); return err })
	for name := range values {
		errs = append(errs, fmt.Errorf("%q does not belong there", name))
	}
	if len(errs) > 0 {
		return Owner{}, errors.Join(errs...)
	}
	return o, nil
}

// parseWide parses a number of 64 bits in canonical decimal form.
func parseWide(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err == nil && strconv.FormatUint(n, 10) != text {
		err = errors.New("not in canonical form")
	}
	return n, err
}

// checkName returns an error if a text cannot be a user's name in the passwd and group files and in uid-gid.env. It accepts each
// name that the webhook can admit. The name is checked again here because the program in the Pod does not trust its arguments
// and files. The first character must be a letter, a digit or _: for some C libraries a line of passwd that begins with + or -
// refers to NIS, and a line that begins with # is a comment.
func checkName(s string) error {
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
		case i > 0 && (c == '.' || c == '-'):
		default:
			return fmt.Errorf("%q is not a user's name", s)
		}
	}
	if s == "" {
		return errors.New("a name is empty")
	}
	return nil
}

// checkField returns an error if a text cannot be a field of passwd: if it is empty or not UTF-8, or has a colon or a control
// character.
func checkField(s string) error {
	if s == "" {
		return errors.New("a field is empty")
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r == ':' || unicode.IsControl(r) }) {
		return fmt.Errorf("%q has a character that passwd cannot have", s)
	}
	return nil
}
