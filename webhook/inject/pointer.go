package inject

import (
	"strconv"
	"strings"
)

// pointer is a place in the pod as a JSON Pointer (RFC 6901).
type pointer string

const (
	spec        pointer = "/spec"
	annotations pointer = "/metadata/annotations"

	volumes             = spec + "/volumes"
	initContainers      = spec + "/initContainers"
	regularContainers   = spec + "/containers"
	ephemeralContainers = spec + "/ephemeralContainers"
	podSecurity         = spec + "/securityContext"
)

var escape = strings.NewReplacer("~", "~0", "/", "~1")

func (p pointer) child(key string) pointer {
	if strings.ContainsAny(key, "~/") {
		key = escape.Replace(key)
	}
	return p + "/" + pointer(key)
}

func (p pointer) index(i int) pointer { return p + "/" + pointer(strconv.Itoa(i)) }

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// field is the place as Kubernetes writes it: spec.containers[0].image, metadata.annotations[example.com/x].
func (p pointer) field() string {
	var b strings.Builder
	for i, part := range strings.Split(string(p), "/")[1:] {
		part = unescape.Replace(part)
		_, err := strconv.Atoi(part)
		switch {
		case err == nil, strings.HasPrefix(string(p), string(annotations)) && i == 2:
			b.WriteString("[" + part + "]")
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

// element of a list: a pointer that is written down only where somebody asks for it.
type element struct {
	list pointer
	at   int
}

func (e element) pointer() pointer { return e.list.index(e.at) }
