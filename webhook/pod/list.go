package pod

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// This file limits the lengths of lists and maps. A requester chooses how long the lists of a Pod are, and an element of a
// few bytes becomes a value of several hundred bytes: 210,000 containers of 3.9 MB took 300 MB. So a list is counted while
// it is decoded, nothing beyond its limit is kept, and a Pod over a limit is denied. Each limit is larger than what fits
// into etcd (1.5 MB) and what a kubelet runs.

const (
	// maxContainers is the limit for the containers of one kind. The chart's policies have the same limit.
	maxContainers = 200
	// maxVolumes is the limit for the volumes of a Pod.
	maxVolumes = 500
	// maxVariables is the limit for the variables of one container, maxArguments that for the arguments of one command.
	maxVariables, maxArguments = 10_000, 10_000
	// maxElements is the limit for each other list.
	maxElements = 1000
	// maxElementsInAll is the limit for all lists of all containers of one kind, in total.
	maxElementsInAll = 30_000
	// maxNames is the limit for the keys of one object. Annotations, for example, may have 256 KiB in total.
	maxNames = 20_000
)

// TooLongError is the error of a list or a map of a Pod with more elements than its limit.
type TooLongError struct {
	// Field is the field in Kubernetes' notation; empty for a map.
	Field string
	// Have is the number of elements; 0 if the containers have too many in total, because these are not counted to the end.
	Have, Max int
}

// Error returns the text of the error.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("%s has %d elements of at most %d", e.Field, e.Have, e.Max)
}

// asTooLong returns the TooLongError that err wraps, or nil.
func asTooLong(err error) error {
	if found, ok := errors.AsType[*TooLongError](err); ok {
		return found
	}
	return nil
}

// List is a list of a Pod.
type List[T any] []T

// UnmarshalJSONFrom decodes a list up to the limit for its type of element.
func (l *List[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	limit := maxOf[T]()
	if d.PeekKind() != jsontext.KindBeginArray || limit != maxContainers && isShort(d) {
		// A null and a value that is not a list are decoded here too.
		err := json.UnmarshalDecode(d, (*[]T)(l))
		if err == nil && len(*l) > limit {
			return &TooLongError{Field: fieldOf(d.StackPointer()), Have: len(*l), Max: limit}
		}
		return err
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*l = nil
	inAll := 0
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
			if inAll += c.elements(); inAll > maxElementsInAll {
				return &TooLongError{Field: fieldOf(d.StackPointer().Parent()), Max: maxElementsInAll}
			}
		}
	}
	_, err := d.ReadToken()
	return err
}

// maxOf returns the limit for one list with elements of a type.
func maxOf[T any]() int {
	switch any((*T)(nil)).(type) {
	case *Container:
		return maxContainers
	case *Volume:
		return maxVolumes
	case *EnvVar:
		return maxVariables
	case *string:
		return maxArguments
	}
	return maxElements
}

// isShort reports whether the rest of the document is so short that a list can be decoded first and counted afterwards,
// which is faster: any such rest needs less than 1 MB. A usual Pod has 6 KB. Containers, which need most memory, are always
// decoded one by one.
func isShort(d *jsontext.Decoder) bool { return len(d.UnreadBuffer()) <= shortRest }

const shortRest = 16 << 10

// countRest counts the remaining elements without keeping them, and returns the TooLongError. An unreadable element is
// reported instead.
func countRest(d *jsontext.Decoder, limit int) error {
	at, have := d.StackPointer().Parent(), limit
	for ; d.PeekKind() != jsontext.KindEndArray; have++ {
		if err := d.SkipValue(); err != nil {
			return err
		}
	}
	return &TooLongError{Field: fieldOf(at), Have: have, Max: limit}
}

// fieldOf returns a pointer into the document as a field of the Pod, also if the Pod is in a review.
func fieldOf(at jsontext.Pointer) string {
	const inReview = "/request/object"
	if len(at) > len(inReview) && at[:len(inReview)] == inReview {
		at = at[len(inReview):]
	}
	return Pointer(at).Field()
}

// elements returns the number of elements in the lists of a container.
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

// checkNameCount returns an error if an object of the document has too many names. To find duplicates, the decoder keeps
// the names of every object, including unknown fields, and 400,000 names of 3.9 MB take 100 MB. checkNameCount keeps none.
func checkNameCount(raw []byte) error {
	if len(raw) <= 6*maxNames {
		return nil // each entry has at least a quoted letter, a colon, a value and a comma
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
	largest := 0
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && largest > maxNames:
			return &TooLongError{Have: largest, Max: maxNames}
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
