package inject

import (
	"cmp"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// object is one that the pod does not have yet, with its fields in the order in which the pieces want them.
type object []field

type field struct {
	key   string
	value any
}

// MarshalJSONTo writes it.
func (o object) MarshalJSONTo(e *jsontext.Encoder) error {
	err := e.WriteToken(jsontext.BeginObject)
	for _, f := range o {
		err = cmp.Or(err, e.WriteToken(jsontext.String(f.key)))
		err = cmp.Or(err, json.MarshalEncode(e, f.value))
	}
	return cmp.Or(err, e.WriteToken(jsontext.EndObject))
}

// MarshalJSON is for encoding/json.
func (o object) MarshalJSON() ([]byte, error) { return json.Marshal(o, json.Deterministic(true)) }

// Quantities of resources, by name. They are carried, not read.
type Quantities map[string]jsontext.Value

// MarshalJSONTo writes them in the order of their names.
func (q Quantities) MarshalJSONTo(e *jsontext.Encoder) error {
	err := e.WriteToken(jsontext.BeginObject)
	for _, name := range slices.Sorted(maps.Keys(q)) {
		err = cmp.Or(err, e.WriteToken(jsontext.String(name)))
		err = cmp.Or(err, e.WriteValue(q[name]))
	}
	return cmp.Or(err, e.WriteToken(jsontext.EndObject))
}
