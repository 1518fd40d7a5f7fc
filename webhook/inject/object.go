package inject

import "github.com/go-json-experiment/json/jsontext"

// object is one that the pod does not have yet, with its fields in the order in which the pieces want them.
type object []field

type field struct {
	key   string
	value any
}

// MarshalJSON is for encoding/json.
func (o object) MarshalJSON() ([]byte, error) { return o.appendTo(nil), nil }

// Quantities of resources, by name. They are carried, not read.
type Quantities map[string]jsontext.Value
