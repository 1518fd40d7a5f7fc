package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// MaxBytes is the maximum size of a configuration file. A usual file has a few KiB.
//
// It is less than the 1 MiB of a ConfigMap because the YAML parser needs far more memory than it reads (measured: 165 MiB
// for 1 MiB of "- #" lines), and with an invalid file the process must not exceed its memory limit.
const MaxBytes = 256 << 10

// Read parses a configuration from r. It reads at most MaxBytes+1 bytes: the last one shows whether the file is too large.
func Read(r io.Reader) (*Config, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(data)
}

// Parse decodes one YAML document over the defaults. A missing field, or a field without a value, keeps its default, except
// that a probe without a value is turned off. A list or a map in the file replaces the default list or map. An element
// of a list or a map must have a value.
//
// The returned configuration is valid. An error has the type Errors.
//
// The YAML is decoded directly into the Go types, and not first converted to JSON: the two steps could interpret "yes",
// "010" or a duplicate key differently, and the second step would not know the line numbers.
func Parse(data []byte) (*Config, error) {
	root, errs := parseDocument(data)
	if len(errs) == 0 {
		errs = checkHeader(root)
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

// checkHeader checks apiVersion and kind. Parse does not decode a file of another kind or version, because its other errors
// would be misleading.
func checkHeader(root *yaml.Node) Errors {
	var errs Errors
	for _, want := range []struct{ key, value string }{{"apiVersion", apiVersion}, {"kind", kind}} {
		line, value := scalarAt(root, want.key)
		switch {
		case value == "":
			errs = append(errs, Error{line, want.key, fmt.Sprintf("is missing; write %s: %s", want.key, want.value)})
		case value != want.value:
			errs = append(errs, Error{line, want.key, fmt.Sprintf("is %q, but must be %s", value, want.value)})
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

// add adds the errors of validation. It leaves out the errors of a field that could not be decoded, because such a field
// still has its default, and the file does not contain that value.
func (d *decoder) add(found field.ErrorList) {
	failed := lines{}
	for _, e := range d.errs {
		failed[e.Path] = max(e.Line, 1)
	}
	for _, e := range found {
		if failed.lineOf(e.Field) > 0 {
			continue
		}
		message := e.ErrorBody()
		if _, inFile := d.lines[e.Field]; !inFile && e.Type != field.ErrorTypeRequired {
			message += " (the default: the file does not set it)"
		}
		d.errs = append(d.errs, Error{d.lines.lineOf(e.Field), e.Field, message})
	}
}

// lines maps fields to their line in the file.
type lines map[string]int

// lineOf returns the line of a field, or of the nearest enclosing field in the file; 0 if the file has neither. So an error about
// a missing key of a list element gets the element's line.
func (l lines) lineOf(path string) int {
	for path != "" {
		if line, ok := l[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}
