package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	operations "gomodules.xyz/jsonpatch/v2"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// document is one document of the input. Only its Pods are changed: the document itself if it is a Pod, or the Pods in a
// List.
type document struct {
	// separator is the --- before the document, if there is one. source is the rest of a YAML document, byte for byte.
	separator, source []byte
	// isYAML is set if the document was written in YAML, not in JSON.
	isYAML bool
	// json is the document as JSON; null if the document has only comments.
	json json.RawMessage
	pod  *podDocument
	// list has the items if the document is a List.
	list []document
}

type podDocument struct {
	raw  json.RawMessage
	meta podMeta
	// admitted is the resulting Pod, and decision the webhook's decision about the Pod.
	admitted json.RawMessage
	decision webhook.Decision
}

// title returns the Pod's name for display. A name with characters that cannot be printed is quoted and escaped.
func (p *podDocument) title() string {
	name := p.meta.Name
	if name == "" && p.meta.GenerateName != "" {
		name = p.meta.GenerateName + "*"
	}
	switch {
	case name == "":
		return "pod without a name"
	case strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }):
		return "pod/" + strconv.QuoteToASCII(name)
	}
	return "pod/" + name
}

// split returns the documents of an input, which is YAML or JSON.
func split(data []byte) ([]document, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return splitJSON(data)
	}
	return splitYAML(data)
}

// splitYAML splits the input before each line that is --- or begins with --- and a blank. In the document that follows,
// separator is the --- alone, and source begins with the rest of that line. So all separators and sources, joined in order, are
// the input again.
func splitYAML(data []byte) (documents []document, err error) {
	var parts []document
	for line := range bytes.Lines(data) {
		rest, separates := bytes.CutPrefix(line, []byte("---"))
		separates = separates && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n"))
		switch {
		case separates:
			parts = append(parts, document{separator: []byte("---"), source: rest, isYAML: true})
		case len(parts) == 0:
			parts = append(parts, document{source: line, isYAML: true})
		default:
			last := &parts[len(parts)-1]
			last.source = append(last.source, line...)
		}
	}
	for _, part := range parts {
		raw, err := yaml.YAMLToJSONStrict(part.source)
		if err == nil {
			err = oneDocument(part.source)
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(documents)+1, err)
		}
		documents = append(documents, part.withJSON(unescaped(raw)))
	}
	return documents, nil
}

// splitJSON reads one value after another, as raw JSON, so that numbers keep their digits.
func splitJSON(data []byte) (documents []document, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		part := document{}
		err := decoder.Decode(&part.json)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(documents)+1, err)
		}
		if len(documents) > 0 {
			part.separator = []byte("---")
		}
		documents = append(documents, part.withJSON(part.json))
	}
}

// withJSON returns a copy of the document whose JSON is raw, and whose fields pod and list are set from raw. Keys are
// case-sensitive, as in an API server.
func (d document) withJSON(raw json.RawMessage) document {
	d.json = raw
	var head struct {
		APIVersion string          `json:"apiVersion"`
		Kind       string          `json:"kind"`
		Items      json.RawMessage `json:"items"`
	}
	// If raw is not an object, or its apiVersion or kind is not a string, it is neither a Pod nor a List.
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &head); err != nil || head.APIVersion != "v1" {
		return d
	}
	switch head.Kind {
	case "Pod":
		d.pod = &podDocument{raw: raw, meta: metaOf(raw), admitted: raw}
	case "List", "PodList":
		var items []json.RawMessage
		// If items is not a list, the List has no items.
		_ = json.Unmarshal(head.Items, &items)
		for _, item := range items {
			d.list = append(d.list, document{}.withJSON(withKind(item, strings.TrimSuffix(head.Kind, "List"))))
		}
	}
	return d
}

// withKind adds an apiVersion and the given kind to an item that has neither, such as an item of a PodList. If kind is
// empty, nothing is added: each item of a List must have its own kind.
func withKind(item json.RawMessage, kind string) json.RawMessage {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(item, &head); err != nil || head.APIVersion+head.Kind != "" || kind == "" {
		return item
	}
	typed, err := pod.Apply(item, []operations.Operation{
		operations.NewOperation("add", "/apiVersion", "v1"),
		operations.NewOperation("add", "/kind", kind),
	})
	if err != nil {
		return item
	}
	return typed
}

// pods returns the Pod of a document, or the Pods in a List.
func (d document) pods() (pods []*podDocument) {
	if d.pod != nil {
		pods = append(pods, d.pod)
	}
	for _, item := range d.list {
		pods = append(pods, item.pods()...)
	}
	return pods
}

func (d document) changed() bool {
	return slices.ContainsFunc(d.pods(), func(p *podDocument) bool { return len(p.decision.Operations) > 0 })
}

// admitted returns the document with its Pods as the webhook changes them.
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
	list, err := pod.Apply(d.json, ops)
	return unescaped(list), err
}
