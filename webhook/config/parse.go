package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// MaxBytes is the most that a configuration file may have; a real one has a few KiB.
//
// It is less than the 1 MiB of a ConfigMap because the YAML parser takes far more than it reads (measured: 165 MiB for
// 1 MiB of "- #" lines), and a file that nobody means must not cost the process its memory limit.
const MaxBytes = 256 << 10

// Read parses what r has, of which it reads no more than it would accept.
func Read(r io.Reader) (*Config, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(data)
}

// Parse reads one YAML document over the defaults. A key that the file does not have, or that has no value, keeps its
// default, but for a probe: null in its place turns it off. A list or a map that the file has replaces the default one.
//
// What it returns is valid. If there is anything to say against the file, all of it is said at once, in Errors.
//
// There is one reading of the YAML, not a chain of YAML to JSON to types: each step of such a chain has its own idea of
// what yes, 010 or a second key of the same name are, and only the first knows the lines.
func Parse(data []byte) (*Config, error) {
	root, errs := document(data)
	if len(errs) == 0 {
		errs = header(root)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	c := Default()
	d := decoder{lines: lines{}}
	d.decode(root, nil, reflect.ValueOf(c).Elem())
	d.add(c.Validate())
	if len(d.errs) > 0 {
		return nil, d.errs.sorted()
	}
	return c, nil
}

// header looks at the first two keys alone: what a file of another kind or version has besides is not ours to judge.
func header(root *yaml.Node) Errors {
	var errs Errors
	for _, want := range []struct{ key, value string }{{"apiVersion", APIVersion}, {"kind", Kind}} {
		line, value := scalarAt(root, want.key)
		switch {
		case value == "":
			errs = append(errs, Error{line, want.key, fmt.Sprintf("is missing; write %s: %s", want.key, want.value)})
		case value != want.value:
			errs = append(errs, Error{line, want.key, fmt.Sprintf("is %q, and what is read here is %s", value, want.value)})
		}
	}
	return errs
}

func scalarAt(mapping *yaml.Node, key string) (int, string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if k, v := mapping.Content[i], mapping.Content[i+1]; k.Value == key && v.Kind == yaml.ScalarNode {
			return k.Line, v.Value
		}
	}
	return 0, ""
}

// add takes over what validation found. Where decoding failed, the default stands in the field's place, and what
// validation says about that is of no use to anybody.
func (d *decoder) add(found field.ErrorList) {
	failed := lines{}
	for _, e := range d.errs {
		failed[e.Path] = max(e.Line, 1)
	}
	for _, e := range found {
		if failed.of(e.Field) > 0 {
			continue
		}
		message := e.ErrorBody()
		if _, said := d.lines[e.Field]; !said && e.Type != field.ErrorTypeRequired {
			message += " (the default: the file does not say it)"
		}
		d.errs = append(d.errs, Error{d.lines.of(e.Field), e.Field, message})
	}
}

// lines tells on which line of the file a field stands.
type lines map[string]int

// of answers the line of the nearest field around it for a field that the file does not have: a list's element that
// lacks a key has a line to go to all the same. It answers 0 for what has no line at all.
func (l lines) of(path string) int {
	for path != "" {
		if line, ok := l[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}
