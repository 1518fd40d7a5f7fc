package inject

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"
)

// A patch is written by hand, in one go: by reflection, that took a fifth of the time of a whole review. A test holds every value
// here against what the library makes of it, which is also what whoever is not in a hurry writes it with.

// AppendPatch appends operations of RFC 6902 as JSON. The same operations are the same bytes.
func AppendPatch(to []byte, operations []jsonpatch.Operation) []byte {
	t := append(text(to), '[')
	for _, o := range operations {
		t = append(t.next(), '{').str("op", o.Operation).str("path", o.Path)
		if o.Operation != "remove" {
			t = t.field("value").value(o.Value)
		}
		t = append(t, '}')
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

// field begins one. Its name is ours or was read from JSON that is a Kubernetes name, and has nothing in it to escape.
func (t text) field(name string) text {
	return append(append(append(t.next(), '"'), name...), '"', ':')
}

func (t text) quoted(value string) text {
	t, err := jsontext.AppendQuote(t, value)
	if err != nil {
		panic(err) // It was read from JSON, which is UTF-8.
	}
	return t
}

func (t text) strings(values []string) text { return list(t, values, text.quoted) }

func (t text) str(name, value string) text { return t.field(name).quoted(value) }

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

func (o object) appendTo(t text) text {
	t = append(t, '{')
	for _, f := range o {
		t = t.field(f.key).value(f.value)
	}
	return append(t, '}')
}

func (v Volume) appendTo(t text) text {
	t = given(append(t, '{').str("name", v.Name), "persistentVolumeClaim", v.PersistentVolumeClaim)
	t = given(given(t, "emptyDir", v.EmptyDir), "projected", v.Projected)
	return append(given(given(t, "hostPath", v.HostPath), "nfs", v.NFS), '}')
}

func (c Claim) appendTo(t text) text {
	return append(append(t, '{').str("claimName", c.ClaimName).flag("readOnly", c.ReadOnly), '}')
}

func (e EmptyDir) appendTo(t text) text {
	return append(given(given(append(t, '{'), "medium", e.Medium), "sizeLimit", e.SizeLimit), '}')
}

func (v EnvVar) appendTo(t text) text {
	return append(given(append(t, '{').str("name", v.Name).some("value", v.Value), "valueFrom", v.ValueFrom), '}')
}

func (m Mount) appendTo(t text) text {
	t = append(t, '{').str("name", m.Name).flag("readOnly", m.ReadOnly).some("recursiveReadOnly", m.RecursiveReadOnly)
	t = t.str("mountPath", m.MountPath).some("subPath", m.SubPath).some("subPathExpr", m.SubPathExpr)
	return append(t.some("mountPropagation", m.MountPropagation), '}')
}

func writeMount(t text, m Mount) text { return m.appendTo(t) }

func (c initContainer) appendTo(t text) text {
	t = append(t, '{').str("name", c.Name).str("image", c.Image).str("imagePullPolicy", c.ImagePullPolicy)
	t = t.field("command").strings(c.Command).field("args").strings(c.Args)
	t = given(t, "resources", c.Resources)
	t = list(t.field("volumeMounts"), c.VolumeMounts, writeMount)
	t = t.str("terminationMessagePath", c.TerminationMessagePath).str("terminationMessagePolicy", c.TerminationMessagePolicy)
	return append(given(t, "securityContext", c.SecurityContext), '}')
}

func (s SecurityContext) appendTo(t text) text {
	t = given(append(t, '{'), "appArmorProfile", s.AppArmorProfile)
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
	return append(given(t, "procMount", s.ProcMount), '}')
}

func (c Capabilities) appendTo(t text) text {
	return append(append(t, '{').someOf("add", c.Add).someOf("drop", c.Drop), '}')
}

func (p Profile) appendTo(t text) text {
	return append(given(append(t, '{').str("type", p.Type), "localhostProfile", p.LocalhostProfile), '}')
}

func (r Resources) appendTo(t text) text {
	t = append(t, '{')
	if len(r.Requests) > 0 {
		t = r.Requests.appendTo(t.field("requests"))
	}
	if len(r.Limits) > 0 {
		t = r.Limits.appendTo(t.field("limits"))
	}
	if len(r.Claims) > 0 {
		t = t.field("claims").value(r.Claims)
	}
	return append(t, '}')
}

// appendTo writes them in the order of their names.
func (q Quantities) appendTo(t text) text {
	names := make([]string, 0, 4)
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	t = append(t, '{')
	for _, name := range names {
		t = append(t.next().quoted(name), ':')
		t = append(t, q[name]...)
	}
	return append(t, '}')
}

func (p httpProbe) appendTo(t text) text {
	t = given(given(append(t, '{'), "httpGet", p.HTTPGet), "tcpSocket", p.TCPSocket)
	number := func(name string, n int32) { t = strconv.AppendInt(t.field(name), int64(n), 10) }
	number("periodSeconds", p.PeriodSeconds)
	number("timeoutSeconds", p.TimeoutSeconds)
	number("failureThreshold", p.FailureThreshold)
	number("successThreshold", p.SuccessThreshold)
	return append(t, '}')
}

func (g httpGet) appendTo(t text) text {
	t = strconv.AppendInt(append(t, '{').str("path", g.Path).field("port"), int64(g.Port), 10)
	return append(t.str("scheme", g.Scheme), '}')
}
