package inject

import (
	"regexp"
	"slices"
	"strings"
)

// envValue is the value of a variable of the notebook container, as far as the webhook knows it.
type envValue struct {
	set   bool
	value string
	// known is false if the variable is not set, or if its value comes from valueFrom, such as a Secret: then value means
	// nothing.
	known bool
}

// envValue returns the value of a variable from the first of these lists that has it: the webhook's own variables, the
// Pod's, the configured defaults. Of several entries in a list the last is used, as in a process. Variables from envFrom
// are not known at admission, and are assumed not to change where Jupyter listens.
func (in *planning) envValue(name string) envValue {
	for _, v := range in.identityEnv {
		if v.name == name {
			return envValue{set: !v.unknown, value: v.value, known: !v.unknown}
		}
	}
	for _, v := range slices.Backward(in.notebook.Env) {
		if v.Name == name {
			return envValue{set: true, value: v.Value, known: v.ValueFrom == nil}
		}
	}
	for _, v := range slices.Backward(in.planner.env) {
		if v.Name == name {
			return envValue{set: true, value: v.Value, known: true}
		}
	}
	return envValue{}
}

var reference = regexp.MustCompile(`\$+\([A-Za-z_][A-Za-z0-9_]*\)`)

// expandLiterals replaces $(NAME) as Kubernetes does in a command line, by the Pod's variables and those that the webhook
// adds. A reference stays if Kubernetes would not replace it, or if its value is not known at admission. The length is
// limited, because a short text can refer to a long value many times: a reference also stays if its value would make the
// text longer than maxBaseURLLength, and a text that is already longer is returned unchanged.
func (in *planning) expandLiterals(text string) string {
	if len(text) > maxBaseURLLength || !strings.Contains(text, "$(") {
		return text
	}
	size := len(text)
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		value, known := in.literal(strings.Trim(found, "$()"))
		if strings.HasPrefix(found, "$$") || !known || size+len(value) > maxBaseURLLength {
			return found
		}
		size += len(value)
		return value
	})
}

// literal returns the value of a variable if the value is known and has no $: Kubernetes also expands references in the value
// of a variable. literal reads a map, because a text can have thousands of references, and envValue would search up to ten
// thousand variables for each.
func (in *planning) literal(name string) (value string, known bool) {
	if in.literals == nil {
		in.literals = in.allLiterals()
	}
	value, known = in.literals[name]
	return value, known
}

func (in *planning) allLiterals() map[string]string {
	all := make(map[string]string, len(in.notebook.Env)+len(in.planner.env))
	put := func(name, value string, known bool) {
		delete(all, name)
		if known && !strings.Contains(value, "$") {
			all[name] = value
		}
	}
	for _, v := range slices.Concat(in.planner.env, in.notebook.Env) {
		put(v.Name, v.Value, v.ValueFrom == nil)
	}
	for _, v := range in.identityEnv {
		put(v.name, v.value, !v.unknown)
	}
	return all
}
