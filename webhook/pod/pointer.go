package pod

import (
	"strconv"
	"strings"
)

// Pointer is a JSON Pointer (RFC 6901) into the Pod.
type Pointer string

// Pointers to parts of a Pod.
const (
	SpecPath        Pointer = "/spec"
	AnnotationsPath Pointer = "/metadata/annotations"

	VolumesPath             = SpecPath + "/volumes"
	InitContainersPath      = SpecPath + "/initContainers"
	ContainersPath          = SpecPath + "/containers"
	EphemeralContainersPath = SpecPath + "/ephemeralContainers"
	SecurityContextPath     = SpecPath + "/securityContext"
)

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// Child returns the pointer of a key below p.
func (p Pointer) Child(key string) Pointer {
	if strings.ContainsAny(key, "~/") {
		key = escape.Replace(key)
	}
	return p + "/" + Pointer(key)
}

// Index returns the pointer of element i of the list at p.
func (p Pointer) Index(i int) Pointer { return p + "/" + Pointer(strconv.Itoa(i)) }

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// Field returns the pointer in Kubernetes' notation: spec.containers[0].image, metadata.annotations[example.com/x].
func (p Pointer) Field() string {
	var b strings.Builder
	for i, part := range strings.Split(string(p), "/")[1:] {
		part = unescape.Replace(part)
		_, err := strconv.Atoi(part)
		switch {
		case err == nil, strings.HasPrefix(string(p), string(AnnotationsPath)) && i == 2:
			b.WriteString("[" + part + "]")
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

// Element is the position of an element in a list. The pointer of the element is built only by the method Pointer, because
// most elements need none.
type Element struct {
	List Pointer
	At   int
}

// Pointer returns the pointer of the element.
func (e Element) Pointer() Pointer { return e.List.Index(e.At) }
