package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// oneDocument returns an error if content follows the document without a --- in between, for example after "...".
// YAMLToJSONStrict reads only the first document and drops the rest.
func oneDocument(source []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	for range 2 {
		var read yaml.Node
		if err := decoder.Decode(&read); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
	return errors.New("there is more content after its end")
}

// toYAML returns JSON as YAML: keys in alphabetical order, lists as kubectl writes them, and each number with its original
// digits.
//
// sigs.k8s.io/yaml is not used, because it reads the JSON as YAML: it turns 2.50 into 2.5, rounds a long number to
// 1.2345678901234568e+29, and returns an error for the surrogate pairs that other languages write for an emoji.
func toYAML(raw json.RawMessage) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(node(value)); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

func node(value any) *yaml.Node {
	switch v := value.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, node(key), node(v[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, element := range v {
			n.Content = append(n.Content, node(element))
		}
		return n
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	default:
		// For a string, true, false or null, Encode chooses the quotes and cannot fail.
		n := &yaml.Node{}
		_ = n.Encode(v)
		return n
	}
}
