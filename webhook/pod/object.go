package pod

import "github.com/go-json-experiment/json/jsontext"

// Object is one that the pod does not have yet, with its fields in the order in which the pieces want them.
type Object []Field

// Field is a key of an Object and its value.
type Field struct {
	Key   string
	Value any
}

// MarshalJSON is for encoding/json.
func (o Object) MarshalJSON() ([]byte, error) { return o.appendTo(nil), nil }

// Quantities of resources, by name. They are carried, not read.
type Quantities map[string]jsontext.Value
