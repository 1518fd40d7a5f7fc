package inject

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// ReadClaim decodes only the labels and annotations that decide whether a Pod is claimed as a notebook (user.Claimed). It is
// for a Pod that exceeds the limits of package pod. It does not search for duplicate keys, because the search takes memory,
// and an API server sends no duplicate keys.
func ReadClaim(raw []byte) (labels, annotations map[string]string, err error) {
	var pod struct {
		Metadata struct {
			Labels      claimEntries `json:"labels"`
			Annotations claimEntries `json:"annotations"`
		} `json:"metadata"`
	}
	err = json.Unmarshal(raw, &pod, jsontext.AllowDuplicateNames(true))
	return pod.Metadata.Labels, pod.Metadata.Annotations, err
}

// claimEntries maps the names of labels or annotations to their values. It has only the entries that user.Claimed reads.
type claimEntries map[string]string

// UnmarshalJSONFrom decodes the entries that user.Selects selects, and skips the others.
func (c *claimEntries) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != jsontext.KindBeginObject {
		return d.SkipValue()
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*c = claimEntries{}
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
