package inject

import (
	"bytes"
	"errors"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// reading decodes documents whose strings become parts of one copy of the document, and no copies of their own: a pod has
// hundreds. So whoever keeps a string of a pod for longer than the pod keeps a clone of it.
type reading struct {
	text    string
	options json.Options
}

var readings = sync.Pool{New: func() any {
	r := &reading{}
	r.options = json.WithUnmarshalers(json.UnmarshalFromFunc(r.take))
	return r
}}

// Decode decodes a document that is a pod, or has one in it. Keys are taken in their one spelling, and a key that is there twice
// is an error: encoding/json would take SPEC for spec and the last of two, and whoever reads the pod after us might not.
func Decode(raw []byte, into any) error {
	r := readings.Get().(*reading)
	r.text = string(raw)
	err := json.Unmarshal(raw, into, r.options)
	r.text = ""
	readings.Put(r)
	return err
}

// take takes a string without escapes out of the text, and leaves anything else to the decoder.
func (r *reading) take(d *jsontext.Decoder, s *string) error {
	if d.PeekKind() != jsontext.KindString {
		return errors.ErrUnsupported
	}
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if bytes.IndexByte(value, '\\') < 0 {
		end := int(d.InputOffset())
		*s = r.text[end-len(value)+1 : end-1]
		return nil
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	*s = string(unquoted)
	return err
}
