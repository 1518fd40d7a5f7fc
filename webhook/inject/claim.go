package inject

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// ReadClaim decodes the labels and annotations that say whether a Pod is claimed, of a Pod of which the rest is too much. Names
// that are there twice are not looked for, which takes memory: no API server sends them.
func ReadClaim(raw []byte) (labels, annotations map[string]string, err error) {
	var pod struct {
		Metadata struct {
			Labels      claim `json:"labels"`
			Annotations claim `json:"annotations"`
		} `json:"metadata"`
	}
	err = json.Unmarshal(raw, &pod, jsontext.AllowDuplicateNames(true))
	return pod.Metadata.Labels, pod.Metadata.Annotations, err
}

// claim is a map of which the entries are kept that user.Claimed looks at.
type claim map[string]string

// UnmarshalJSONFrom skips all other entries.
func (c *claim) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != jsontext.KindBeginObject {
		return d.SkipValue()
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*c = claim{}
	for d.PeekKind() != jsontext.KindEndObject {
		key, err := d.ReadToken()
		if err != nil {
			return err
		}
		name, value := key.String(), ""
		if !user.Selects(name) {
			err = d.SkipValue()
		} else if err = json.UnmarshalDecode(d, &value); err == nil {
			(*c)[name] = value
		}
		if err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}
