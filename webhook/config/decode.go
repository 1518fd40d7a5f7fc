package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// decoder decodes a YAML document over a value that has the defaults, and collects the errors.
type decoder struct {
	lines lines
	errs  Errors
}

func (d *decoder) fail(path *field.Path, format string, args ...any) {
	text := ""
	if path != nil {
		text = path.String()
	}
	d.errs = append(d.errs, Error{d.lines.lineOf(text), text, fmt.Sprintf(format, args...)})
}

// decode decodes a node into out, which holds the default value, or the zero value for an element of a list or a map.
func (d *decoder) decode(n *yaml.Node, path *field.Path, out reflect.Value) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		// Without anchors a small file cannot expand to a huge one.
		d.fail(path, "anchors and aliases (& and *) are not read here; write the value out")
	case isNull(n):
		if out.Type() == probeType {
			// null turns a probe off. Any other field keeps its default.
			out.FieldByName("Enabled").SetBool(false)
		}
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(path, "tags (%s) are not read here; remove the tag", denial.Cut(n.Tag, 40))
	case out.Type() == quantityType:
		d.quantity(n, path, out)
	case out.Kind() == reflect.Struct:
		d.object(n, path, out)
	case out.Kind() == reflect.Map:
		d.mapping(n, path, out)
	case out.Kind() == reflect.Slice:
		d.list(n, path, out)
	case out.Kind() == reflect.Interface:
		d.anyValue(n, path, out)
	default:
		d.scalar(n, path, out)
	}
}

var probeType = reflect.TypeFor[Probe]()

// required decodes a value without a default: an element of a list or a map.
func (d *decoder) required(n *yaml.Node, path *field.Path, out reflect.Value) {
	if isNull(n) {
		d.fail(path, "has no value; write one, or remove it")
		return
	}
	d.decode(n, path, out)
}

func (d *decoder) object(n *yaml.Node, path *field.Path, out reflect.Value) {
	child := func(key string) *field.Path { return path.Child(shownKey(key)) }
	for _, e := range d.entries(n, path, child) {
		if member, ok := fieldOf(out, e.key); ok {
			d.decode(e.value, e.path, member)
		} else {
			d.fail(e.path, "unknown key; %s", hint(e.key, out.Type()))
		}
	}
}

// mapping decodes a map, which replaces the whole default map. If the two were merged, a file could not remove a default
// entry.
func (d *decoder) mapping(n *yaml.Node, path *field.Path, out reflect.Value) {
	made := reflect.MakeMap(out.Type())
	for _, e := range d.entries(n, path, path.Key) {
		value, before := reflect.New(out.Type().Elem()).Elem(), len(d.errs)
		if d.required(e.value, e.path, value); len(d.errs) == before {
			made.SetMapIndex(reflect.ValueOf(e.key).Convert(out.Type().Key()), value)
		}
	}
	out.SetZero()
	if made.Len() > 0 {
		out.Set(made)
	}
}

// list decodes a list, which replaces the whole default list. An invalid element keeps its position, so that the indices
// in error messages stay right.
func (d *decoder) list(n *yaml.Node, path *field.Path, out reflect.Value) {
	if fault := kindFault(n, yaml.SequenceNode); fault != "" {
		d.fail(path, "%s", fault)
		return
	}
	out.SetZero()
	if len(n.Content) > 0 {
		out.Set(reflect.MakeSlice(out.Type(), len(n.Content), len(n.Content)))
	}
	for i, element := range n.Content {
		at := path.Index(i)
		d.lines[at.String()] = element.Line
		d.required(element, at, out.Index(i))
	}
}

// entry is one key of a mapping and its value.
type entry struct {
	key   string
	path  *field.Path
	value *yaml.Node
}

// entries returns the entries of a mapping. It leaves out invalid and duplicate keys, and adds an error for each.
func (d *decoder) entries(n *yaml.Node, path *field.Path, at func(string) *field.Path) []entry {
	if fault := kindFault(n, yaml.MappingNode); fault != "" {
		d.fail(path, "%s", fault)
		return nil
	}
	var found []entry
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		e := entry{key: key.Value, path: at(key.Value), value: n.Content[i+1]}
		first, isDuplicate := seen[e.key]
		seen[e.key] = key.Line
		d.lines[e.path.String()] = key.Line
		switch fault := keyFault(key); {
		case fault != "":
			d.fail(e.path, "%s", fault)
		case isDuplicate:
			d.fail(e.path, "is here a second time, after line %d; remove one of them", first)
		default:
			found = append(found, e)
		}
	}
	return found
}

func keyFault(key *yaml.Node) string {
	switch {
	case key.Tag == "!!merge":
		return "merge keys (<<) are not read here; write the keys out"
	case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0:
		return "a key is one word, without anchor (&), alias (*) or tag (!); a template that was not rendered looks like this"
	}
	return ""
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_./-]{1,80}$`)

// shownKey returns a key as messages show it: a key that is not plain is shortened and quoted, because it can be any
// text.
func shownKey(key string) string {
	if plainKey.MatchString(key) {
		return key
	}
	return strconv.Quote(denial.Cut(key, 80))
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style&yaml.TaggedStyle == 0
}

// kindFault returns an error text if a node is not of the wanted kind; empty if it is.
func kindFault(n *yaml.Node, want yaml.Kind) string {
	if n.Kind == want {
		return ""
	}
	return fmt.Sprintf("must be %s, but is %s", kindText[want], describeNode(n))
}

var kindText = map[yaml.Kind]string{yaml.MappingNode: "a mapping (key: value)", yaml.SequenceNode: "a list (- value)"}

func describeNode(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Kind != yaml.ScalarNode:
		return kindText[n.Kind]
	case strings.HasPrefix(n.Tag, "!!int"), strings.HasPrefix(n.Tag, "!!float"):
		return "the number " + denial.Cut(n.Value, 40)
	case n.Tag == "!!bool":
		return n.Value
	}
	return "the text " + strconv.Quote(denial.Cut(n.Value, 40))
}
