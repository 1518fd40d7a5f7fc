package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	operations "gomodules.xyz/jsonpatch/v2"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"bufio"
)

// document is one object of the input: a pod, a list with pods in it, or something else that passes through.
type document struct {
	// source is the document as it was written.
	source []byte
	json   json.RawMessage
	pod    *podDocument
	// list are the items where the document is a List; each of them is a pod or passes through.
	list []document
}

type podDocument struct {
	raw  json.RawMessage
	meta podMeta
	// admitted and operations are the outcome.
	admitted   json.RawMessage
	operations []operations.Operation
}

func (p *podDocument) title() string {
	switch {
	case p.meta.Name != "":
		return "pod/" + p.meta.Name
	case p.meta.GenerateName != "":
		return "pod/" + p.meta.GenerateName + "*"
	}
	return "pod without a name"
}

// split reads every document. JSON is YAML to it, and keeps its numbers.
func split(data []byte) ([]document, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return splitJSON(data)
	}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var documents []document
	for {
		source, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		raw, err := yaml.YAMLToJSONStrict(source)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(documents)+1, err)
		}
		documents = append(documents, newDocument(source, raw))
	}
}

func splitJSON(data []byte) ([]document, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	var documents []document
	for {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(documents)+1, err)
		}
		documents = append(documents, newDocument(raw, raw))
	}
}

func newDocument(source []byte, raw json.RawMessage) document {
	d := document{source: source, json: raw}
	var head struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}
	// What is no object, or has other types in these fields, is none of the two.
	if err := json.Unmarshal(raw, &head); err != nil || head.APIVersion != "v1" {
		return d
	}
	switch head.Kind {
	case "Pod":
		d.pod = &podDocument{raw: raw, meta: metaOf(raw)}
	case "List", "PodList":
		for _, item := range head.Items {
			d.list = append(d.list, newDocument(nil, item))
		}
	}
	return d
}

// pods of a document, those in a list too.
func (d document) pods() (pods []*podDocument) {
	if d.pod != nil {
		pods = append(pods, d.pod)
	}
	for _, item := range d.list {
		pods = append(pods, item.pods()...)
	}
	return pods
}

// changed tells whether anything of a document is other than it was written.
func (d document) changed() bool {
	for _, p := range d.pods() {
		if len(p.operations) > 0 {
			return true
		}
	}
	return false
}

// admitted is the document with its pods as the cluster would have them.
func (d document) admitted() (json.RawMessage, error) {
	switch {
	case !d.changed():
		return d.json, nil
	case d.pod != nil:
		return d.pod.admitted, nil
	}
	var ops []operations.Operation
	for i, item := range d.list {
		if !item.changed() {
			continue
		}
		value, err := item.admitted()
		if err != nil {
			return nil, err
		}
		ops = append(ops, operations.NewOperation("replace", fmt.Sprintf("/items/%d", i), value))
	}
	return applyTo(d.json, ops)
}
