package pod

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Whoever may create Pods chooses how long their lists are, and an element of a few bytes becomes a value of several hundred
// here: 210,000 containers of 3.9 MB took 300 MB. So a list is counted while it is read, before anything of it is kept beyond
// the most that it can have, and a Pod over it is denied. Each number is above what an API server stores in etcd (1.5 MB) and a
// kubelet runs.

const (
	// maxContainers of one kind. The policies of the chart count the same.
	maxContainers = 200
	// maxVolumes of a Pod.
	maxVolumes = 500
	// maxVariables of one container, and mostArguments of one command.
	maxVariables, maxArguments = 10_000, 10_000
	// maxElements of all other lists.
	maxElements = 1000
	// maxElementsInAll are the elements of the lists of all containers of one kind, together.
	maxElementsInAll = 30_000
	// maxNames of one object, such as the annotations, which may have 256 KiB in all.
	maxNames = 20_000
)

// TooLongError reports that a list or a map of a Pod has more elements than are read.
type TooLongError struct {
	// Field in Kubernetes' notation; empty for a map, whichever it is.
	Field string
	// Have is how many there are; 0 if the elements of all containers together are too many, which are not counted to the end.
	Have, Max int
}

// Error is the error's text.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("%s has %d elements of at most %d", e.Field, e.Have, e.Max)
}

// asTooLong returns a TooLongError without what the decoder put around it; nil if err is about something else.
func asTooLong(err error) error {
	if found, ok := errors.AsType[*TooLongError](err); ok {
		return found
	}
	return nil
}

// List is a list of a Pod.
type List[T any] []T

// UnmarshalJSONFrom reads a list of at most so many elements as the kind of element allows.
func (l *List[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	most := maxOf[T]()
	if d.PeekKind() != jsontext.KindBeginArray || most != maxContainers && isShort(d) {
		// Also a null, and what is no list.
		err := json.UnmarshalDecode(d, (*[]T)(l))
		if err == nil && len(*l) > most {
			return &TooLongError{Field: fieldOf(d.StackPointer()), Have: len(*l), Max: most}
		}
		return err
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*l = nil
	inAll := 0
	for d.PeekKind() != jsontext.KindEndArray {
		if len(*l) == most {
			return countRest(d, most)
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

// maxOf returns how many elements of a type one list has at most.
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

// isShort reports whether what is left of the document is so short that a list of it can be read at once and counted afterwards,
// which is quicker: whatever is in it, that takes less than 1 MB. The usual Pod has 6 KB. Containers, which take most, are
// always read one by one.
func isShort(d *jsontext.Decoder) bool { return len(d.UnreadBuffer()) <= shortRest }

const shortRest = 16 << 10

// countRest goes on counting elements without keeping them. An element that cannot be read comes first.
func countRest(d *jsontext.Decoder, most int) error {
	at, have := d.StackPointer().Parent(), most
	for ; d.PeekKind() != jsontext.KindEndArray; have++ {
		if err := d.SkipValue(); err != nil {
			return err
		}
	}
	return &TooLongError{Field: fieldOf(at), Have: have, Max: most}
}

// fieldOf returns a place of the document as a field of the Pod, which may be in a review.
func fieldOf(at jsontext.Pointer) string {
	const inReview = "/request/object"
	if len(at) > len(inReview) && at[:len(inReview)] == inReview {
		at = at[len(inReview):]
	}
	return Pointer(at).Field()
}

// elements counts what is in the lists of a container.
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

// checkNameCount returns an error if an object of the document has more names than the decoder should remember. The decoder
// compares each with all others of its object, whether anybody asks for the field or not, and 400,000 names of 3.9 MB take it 100
// MB. Here nothing is remembered.
func checkNameCount(raw []byte) error {
	if len(raw) <= 6*maxNames {
		return nil // Each has at least a quoted letter, a colon, a value and a comma.
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
	most := 0
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && most > maxNames:
			return &TooLongError{Have: most, Max: maxNames}
		case err != nil:
			return nil //nolint:nilerr // Whoever decodes the document says what is wrong with it.
		case token.Kind() == jsontext.KindEndArray:
			continue
		}
		if kind, length := d.StackIndex(d.StackDepth()); kind == jsontext.KindBeginObject {
			most = max(most, int(length/2))
		}
	}
}
