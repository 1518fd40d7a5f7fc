package handoff

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// flags writes the flags of a command line. A flag is always one argument, --name=value or --name, and the order is fixed. So
// equal values give equal command lines, which the webhook can compare.
type flags struct {
	args []string
}

// usualFlags is the capacity for the flags of a usual command line.
const usualFlags = 12

func (f *flags) text(name, value string) {
	if value != "" {
		f.args = append(f.args, "--"+name+"="+value)
	}
}

func (f *flags) number(name string, value int64) {
	var buffer [64]byte
	text := append(append(append(buffer[:0], "--"...), name...), '=')
	f.args = append(f.args, string(strconv.AppendInt(text, value, 10)))
}

func (f *flags) numbers(name string, values []int64) {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = strconv.FormatInt(v, 10)
	}
	f.text(name, strings.Join(texts, ","))
}

func (f *flags) list(name string, values []string) {
	if len(values) == 0 {
		return
	}
	// A list of strings can always be marshalled.
	b, _ := json.Marshal(values)
	f.text(name, string(b))
}

func (f *flags) set(name string, on bool) {
	if on {
		f.args = append(f.args, "--"+name)
	}
}

// reader parses a command line. A reader accepts no unknown and no repeated flag, because jupyter-user-init is root while it
// parses the command line of Exec. A reader continues after an error and keeps the first error.
type reader struct {
	values map[string]string
	rest   []string
	// ended reports whether the command line has a "--".
	ended bool
	err   error
}

// read parses a command line, whose first argument must be equal to verb. The parameter known has the accepted flags:
// --name= for a flag with a value, and --name for a flag without a value.
func read(args []string, verb string, known ...string) *reader {
	r := &reader{values: map[string]string{}}
	if len(args) == 0 || args[0] != verb {
		r.fail("the command is not %s", verb)
		return r
	}
	for i, arg := range args[1:] {
		if arg == "--" {
			r.rest, r.ended = args[i+2:], true
			break
		}
		flag, value, hasValue := strings.Cut(arg, "=")
		name := strings.TrimPrefix(flag, "--")
		if hasValue {
			flag += "="
		}
		_, exists := r.values[name]
		if exists || !slices.Contains(known, flag) || hasValue && value == "" {
			r.fail("%s does not take %q", verb, arg)
		}
		r.values[name] = value
	}
	return r
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) text(name string) string { return r.values[name] }

// path returns the value of a required flag whose value is a path. A value that cannot be a field of passwd is an error.
func (r *reader) path(name string) string {
	if err := checkField(r.values[name]); err != nil {
		r.fail("--%s: %w", name, err)
	}
	return r.values[name]
}

func (r *reader) user() string {
	if err := checkName(r.values["user"]); err != nil {
		r.fail("--user: %w", err)
	}
	return r.values["user"]
}

// umask returns the value of --umask; empty if the flag is missing. Only octal digits are allowed, because the value
// becomes a number in a Python file (UmaskFile).
func (r *reader) umask() string {
	text := r.values["umask"]
	if strings.Trim(text, "01234567") != "" {
		r.fail("--umask: %q has characters other than octal digits", text)
	}
	return text
}

func (r *reader) set(name string) bool {
	_, ok := r.values[name]
	return ok
}

func (r *reader) number(name string) int64 {
	id, err := identity.ParseID(r.values[name])
	if err != nil {
		r.fail("--%s: %w", name, err)
	}
	return id
}

func (r *reader) numbers(name string) (ids []int64) {
	if r.values[name] == "" {
		return nil
	}
	for text := range strings.SplitSeq(r.values[name], ",") {
		id, err := identity.ParseID(text)
		if err != nil {
			r.fail("--%s: %w", name, err)
		}
		ids = append(ids, id)
	}
	return ids
}

func (r *reader) list(name string) (values []string) {
	text, ok := r.values[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &values); err != nil || len(values) == 0 {
		r.fail("--%s is not a JSON list of strings", name)
	}
	return values
}
