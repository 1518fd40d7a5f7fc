package config

import (
	"math"
	"reflect"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// anyValue decodes a value of notebook.jupyterConfig: text, a number, a boolean, a list or a mapping.
func (d *decoder) anyValue(n *yaml.Node, path *field.Path, out reflect.Value) {
	switch {
	case n.Kind == yaml.MappingNode:
		decodeAs[map[string]any](d, n, path, out)
	case n.Kind == yaml.SequenceNode:
		decodeAs[[]any](d, n, path, out)
	case n.Tag == "!!bool":
		decodeAs[bool](d, n, path, out)
	case n.Tag == "!!int":
		decodeAs[int64](d, n, path, out)
	case n.Tag == "!!float":
		var number float64
		if err := n.Decode(&number); err != nil || math.IsInf(number, 0) || math.IsNaN(number) {
			d.fail(path, "must be a number that JSON can hold, but is %s", denial.Cut(n.Value, 40))
			return
		}
		out.Set(reflect.ValueOf(number))
	default:
		decodeAs[string](d, n, path, out)
	}
}

func decodeAs[T any](d *decoder, n *yaml.Node, path *field.Path, out reflect.Value) {
	value := reflect.New(reflect.TypeFor[T]()).Elem()
	d.decode(n, path, value)
	out.Set(value)
}
