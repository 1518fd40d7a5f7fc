package pod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// This file limits the lengths of lists and maps. A requester chooses how long the lists of a Pod are, and an element of a
// few bytes becomes a value of several hundred bytes: 210,000 containers, 3.9 MB of JSON, took 300 MB. So the elements of a
// long list are counted while the list is decoded, none beyond the limit is kept, and a Pod over a limit is denied. The
// limits are far above the lists of usual Pods.

const (
	// maxContainers is the limit for each kind of container: init containers, containers and ephemeral containers. The
	// chart's policies have the same limit for all kinds together.
	maxContainers = 200
	// maxVolumes is the limit for the volumes of a Pod.
	maxVolumes = 500
	// maxVariables is the limit for the environment variables of one container. maxStrings is the limit for a list of
	// strings, such as the arguments of a command.
	maxVariables, maxStrings = 10_000, 10_000
	// maxElements is the limit for a list with elements of any other type.
	maxElements = 1000
	// maxElementsInAll is the limit for the total number of elements in the lists and maps of all containers of one kind.
	maxElementsInAll = 30_000
	// maxKeys is the limit for the keys of one JSON object, such as the annotations, which Kubernetes limits to 256 KiB.
	maxKeys = 20_000
)

// TooLongError is the error of a list or a map of a Pod with more elements than its limit.
type TooLongError struct {
	// Field is the field in Kubernetes' notation; empty for a map.
	Field string
	// Have is the number of elements. Have is 0 if all containers of one kind together exceed maxElementsInAll, because the
	// elements after that limit are not counted. Max is the limit.
	Have, Max int
}

// Error returns the field, the number of elements and the limit as text.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("%s has %d elements of at most %d", e.Field, e.Have, e.Max)
}

// List is a list in a Pod, with a limited length.
type List[T any] []T

// UnmarshalJSONFrom decodes a list. It returns a TooLongError if the list exceeds the limit for its type of element, or if
// the containers in the list together exceed maxElementsInAll.
func (l *List[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	limit := maxOf[T]()
	if d.PeekKind() != jsontext.KindBeginArray {
		return json.UnmarshalDecode(d, (*[]T)(l)) // The value is null, or not a list.
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*l = nil
	total := 0
	for d.PeekKind() != jsontext.KindEndArray {
		if len(*l) == limit {
			return countRest(d, limit)
		}
		*l = append(*l, *new(T))
		last := &(*l)[len(*l)-1]
		if err := json.UnmarshalDecode(d, last); err != nil {
			return err
		}
		if c, ok := any(last).(*Container); ok {
			if total += c.elements(); total > maxElementsInAll {
				return &TooLongError{Field: fieldOf(d.StackPointer().Parent()), Max: maxElementsInAll}
			}
		}
	}
	_, err := d.ReadToken()
	return err
}

// maxOf returns the limit for a list with elements of type T.
func maxOf[T any]() int {
	switch any((*T)(nil)).(type) {
	case *Container:
		return maxContainers
	case *Volume:
		return maxVolumes
	case *EnvVar:
		return maxVariables
	case *string:
		return maxStrings
	}
	return maxElements
}

// countRest counts the elements of a list beyond the limit without keeping them. It returns the TooLongError with the total
// number, or the error of an unreadable element.
func countRest(d *jsontext.Decoder, limit int) error {
	at, have := d.StackPointer().Parent(), limit
	for ; d.PeekKind() != jsontext.KindEndArray; have++ {
		if err := d.SkipValue(); err != nil {
			return err
		}
	}
	return &TooLongError{Field: fieldOf(at), Have: have, Max: limit}
}

// fieldOf returns the field of the Pod to which a pointer into the document points. The document is a Pod, or a review with a
// Pod.
func fieldOf(at jsontext.Pointer) string {
	return Pointer(strings.TrimPrefix(string(at), "/request/object")).Field()
}

// elements returns the number of elements in the lists and maps of a container.
func (c *Container) elements() int {
	n := len(c.Command) + len(c.Args) + len(c.Ports) + len(c.EnvFrom) + len(c.Env) + len(c.RestartPolicyRules) +
		len(c.VolumeMounts) + len(c.VolumeDevices)
	for _, probe := range [...]*Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		n += probe.elements()
	}
	if l := c.Lifecycle; l != nil {
		n += l.PostStart.elements() + l.PreStop.elements()
	}
	if r := c.Resources; r != nil {
		n += len(r.Requests) + len(r.Limits) + len(r.Claims)
	}
	if s := c.SecurityContext; s != nil && s.Capabilities != nil {
		n += len(s.Capabilities.Add) + len(s.Capabilities.Drop)
	}
	return n
}

func (p *Probe) elements() int {
	if p == nil || p.Exec == nil {
		return 0
	}
	return len(p.Exec.Command)
}

// checkKeyCount returns an error if a JSON object of the document has more than maxKeys keys. The decoder that reads the
// Pod keeps the keys of an object to find duplicates, also the keys of unknown fields: 400,000 keys, 3.9 MB of JSON, take
// 100 MB. So checkKeyCount, which keeps no keys, must run first.
func checkKeyCount(raw []byte) error {
	if len(raw) <= 6*maxKeys {
		return nil // each entry has at least a quoted letter, a colon, a value and a comma
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
	largest := 0
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && largest > maxKeys:
			return &TooLongError{Have: largest, Max: maxKeys}
		case err != nil:
			return nil //nolint:nilerr // decoding the document reports this error
		case token.Kind() == jsontext.KindEndArray:
			continue
		}
		if kind, length := d.StackIndex(d.StackDepth()); kind == jsontext.KindBeginObject {
			largest = max(largest, int(length/2))
		}
	}
}
