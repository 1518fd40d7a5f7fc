package pod

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"
)

// A patch is written by hand, in one go: by reflection, that took a fifth of the time of a whole review. A test holds every
// value here that has tags against what the library makes of them. What is rare is left to the library.

// AppendPatch appends operations of RFC 6902 as JSON. The same operations are the same bytes.
func AppendPatch(to []byte, operations []jsonpatch.Operation) []byte {
	t := append(text(to), '[')
	for _, o := range operations {
		t = t.next().open().str("op", o.Operation).str("path", o.Path)
		if o.Operation != "remove" {
			t = t.field("value").value(o.Value)
		}
		t = t.close()
	}
	return append(t, ']')
}

// text is JSON as it grows.
type text []byte

// writable are the values of this package that are in patches.
type writable interface{ appendTo(t text) text }

// value appends what an operation can have.
func (t text) value(v any) text {
	switch v := v.(type) {
	case writable:
		return v.appendTo(t)
	case string:
		return t.quoted(v)
	case *string:
		return t.quoted(*v)
	case *bool:
		return strconv.AppendBool(t, *v)
	case *int64:
		return strconv.AppendInt(t, *v, 10)
	case *jsontext.Value:
		return append(t, *v...)
	case *[]string:
		return t.strings(*v)
	case *[]int64:
		return list(t, *v, func(t text, n int64) text { return strconv.AppendInt(t, n, 10) })
	case *[]Mount:
		return list(t, *v, writeMount)
	case *[]any:
		return list(t, *v, text.value)
	}
	written, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err) // What the planner plans can be written, whatever the pod.
	}
	return append(t, written...)
}

// next is in front of a field or an element: a comma, where another one was before it.
func (t text) next() text {
	if last := t[len(t)-1]; last == '{' || last == '[' {
		return t
	}
	return append(t, ',')
}

func (t text) open() text  { return append(t, '{') }
func (t text) close() text { return append(t, '}') }

// field begins one whose name is written in this file, and has nothing in it to escape.
func (t text) field(name string) text {
	return append(append(append(t.next(), '"'), name...), '"', ':')
}

// key begins a field of any name.
func (t text) key(name string) text { return append(t.next().quoted(name), ':') }

func (t text) quoted(value string) text {
	t, err := jsontext.AppendQuote(t, value)
	if err != nil {
		panic(err) // It was read from JSON, which is UTF-8.
	}
	return t
}

func (t text) strings(values []string) text { return list(t, values, text.quoted) }

func (t text) str(name, value string) text { return t.field(name).quoted(value) }

func (t text) number(name string, value int32) text {
	return strconv.AppendInt(t.field(name), int64(value), 10)
}

// Those that follow leave a field out that is empty.

func (t text) some(name, value string) text {
	if value == "" {
		return t
	}
	return t.str(name, value)
}

func (t text) someOf(name string, values []string) text {
	if len(values) == 0 {
		return t
	}
	return t.field(name).strings(values)
}

func (t text) flag(name string, value bool) text {
	if !value {
		return t
	}
	return append(t.field(name), "true"...)
}

// given leaves a field out that is nil.
func given[T any](t text, name string, value *T) text {
	if value == nil {
		return t
	}
	return t.field(name).value(value)
}

func list[T any](t text, values []T, one func(text, T) text) text {
	t = append(t, '[')
	for _, v := range values {
		t = one(t.next(), v)
	}
	return append(t, ']')
}

func (o Object) appendTo(t text) text {
	t = t.open()
	for _, f := range o {
		t = t.key(f.Key).value(f.Value)
	}
	return t.close()
}

func (v Volume) appendTo(t text) text {
	t = t.open().str("name", v.Name)
	t = given(t, "persistentVolumeClaim", v.PersistentVolumeClaim)
	t = given(t, "emptyDir", v.EmptyDir)
	t = given(t, "projected", v.Projected)
	t = given(t, "hostPath", v.HostPath)
	t = given(t, "nfs", v.NFS)
	return t.close()
}

func (c Claim) appendTo(t text) text {
	return t.open().str("claimName", c.ClaimName).flag("readOnly", c.ReadOnly).close()
}

func (e EmptyDir) appendTo(t text) text {
	t = given(t.open(), "medium", e.Medium)
	t = given(t, "sizeLimit", e.SizeLimit)
	return t.close()
}

func (v EnvVar) appendTo(t text) text {
	t = t.open().str("name", v.Name).some("value", v.Value)
	t = given(t, "valueFrom", v.ValueFrom)
	return t.close()
}

func (m Mount) appendTo(t text) text {
	return t.open().str("name", m.Name).flag("readOnly", m.ReadOnly).some("recursiveReadOnly", m.RecursiveReadOnly).
		str("mountPath", m.MountPath).some("subPath", m.SubPath).some("subPathExpr", m.SubPathExpr).
		some("mountPropagation", m.MountPropagation).close()
}

func writeMount(t text, m Mount) text { return m.appendTo(t) }

func (c InitContainer) appendTo(t text) text {
	t = t.open().str("name", c.Name).str("image", c.Image).str("imagePullPolicy", c.ImagePullPolicy)
	t = t.field("command").strings(c.Command).field("args").strings(c.Args)
	t = given(t, "resources", c.Resources)
	t = list(t.field("volumeMounts"), c.VolumeMounts, writeMount)
	t = t.str("terminationMessagePath", c.TerminationMessagePath).str("terminationMessagePolicy", c.TerminationMessagePolicy)
	t = given(t, "securityContext", c.SecurityContext)
	return t.close()
}

func (s SecurityContext) appendTo(t text) text {
	t = given(t.open(), "appArmorProfile", s.AppArmorProfile)
	t = given(t, "seLinuxOptions", s.SELinuxOptions)
	t = given(t, "windowsOptions", s.WindowsOptions)
	t = given(t, "runAsUser", s.RunAsUser)
	t = given(t, "runAsGroup", s.RunAsGroup)
	t = given(t, "runAsNonRoot", s.RunAsNonRoot)
	t = given(t, "privileged", s.Privileged)
	t = given(t, "allowPrivilegeEscalation", s.AllowPrivilegeEscalation)
	t = given(t, "readOnlyRootFilesystem", s.ReadOnlyRootFilesystem)
	t = given(t, "capabilities", s.Capabilities)
	t = given(t, "seccompProfile", s.SeccompProfile)
	t = given(t, "procMount", s.ProcMount)
	return t.close()
}

func (c Capabilities) appendTo(t text) text {
	return t.open().someOf("add", c.Add).someOf("drop", c.Drop).close()
}

func (p Profile) appendTo(t text) text {
	t = t.open().str("type", p.Type)
	t = given(t, "localhostProfile", p.LocalhostProfile)
	return t.close()
}

func (r Resources) appendTo(t text) text {
	t = t.open()
	if len(r.Requests) > 0 {
		t = r.Requests.appendTo(t.field("requests"))
	}
	if len(r.Limits) > 0 {
		t = r.Limits.appendTo(t.field("limits"))
	}
	if len(r.Claims) > 0 {
		t = t.field("claims").value(r.Claims)
	}
	return t.close()
}

// appendTo writes them in the order of their names.
func (q Quantities) appendTo(t text) text {
	names := make([]string, 0, 4) // on the stack, as what maps.Keys goes through is not
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	t = t.open()
	for _, name := range names {
		t = append(t.key(name), q[name]...)
	}
	return t.close()
}

func (p HTTPProbe) appendTo(t text) text {
	t = given(t.open(), "httpGet", p.HTTPGet)
	t = given(t, "tcpSocket", p.TCPSocket)
	return t.number("periodSeconds", p.PeriodSeconds).number("timeoutSeconds", p.TimeoutSeconds).
		number("failureThreshold", p.FailureThreshold).number("successThreshold", p.SuccessThreshold).close()
}

func (g HTTPGet) appendTo(t text) text {
	return t.open().str("path", g.Path).number("port", g.Port).str("scheme", g.Scheme).close()
}
