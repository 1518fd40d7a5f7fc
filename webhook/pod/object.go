package pod

import "github.com/go-json-experiment/json/jsontext"

// Object is an object that a patch adds to the Pod. The JSON has the fields in the order of the slice.
type Object []Field

// Field is a key of an Object and its value.
type Field struct {
	Key   string
	Value any
}

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) { return o.appendTo(nil), nil }

// Quantities maps the name of a resource, such as cpu, to its quantity, which is kept as JSON.
type Quantities map[string]jsontext.Value

// skipped is the type of a field that is not read. The JSON library skips an unknown field token by token, and a field of
// type skipped in one step.
type skipped struct{}

// UnmarshalJSONFrom checks and skips the value.
func (*skipped) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	_, err := d.ReadValue()
	return err
}
