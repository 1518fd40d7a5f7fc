package pod

import "github.com/go-json-experiment/json/jsontext"

// Object is a new object for the Pod, with its fields in the order in which the pieces add them.
type Object []Field

// Field is a key of an Object and its value.
type Field struct {
	Key   string
	Value any
}

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) { return o.appendTo(nil), nil }

// Quantities of resources, by name. They are kept as JSON.
type Quantities map[string]jsontext.Value

// skipped is a field that is not read. The library skips an unknown field token by token, and this one in one step.
type skipped struct{}

// UnmarshalJSONFrom checks and skips the value.
func (*skipped) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	_, err := d.ReadValue()
	return err
}
