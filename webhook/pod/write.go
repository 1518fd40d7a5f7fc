package pod

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"
)

// This file writes a patch as JSON without reflection, because reflection took a fifth of the time of a whole review. A
// test compares the result with that of the JSON library, for each type that a value in a patch can have. The JSON library
// itself writes the rare types.

// AppendPatch appends operations of RFC 6902 as JSON. Equal operations give equal bytes.
func AppendPatch(to []byte, operations []jsonpatch.Operation) []byte {
	t := append(jsonText(to), '[')
	for _, o := range operations {
		t = t.next().open().stringField("op", o.Operation).stringField("path", o.Path)
		if o.Operation != "remove" {
			t = t.field("value").value(o.Value)
		}
		t = t.close()
	}
	return append(t, ']')
}

// jsonText is the JSON that has been written so far. Its methods append to it and return the longer text.
type jsonText []byte

// writable is implemented by the types of this package that are written without reflection.
type writable interface{ appendTo(t jsonText) jsonText }

func (t jsonText) value(v any) jsonText {
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
		return list(t, *v, func(t jsonText, n int64) jsonText { return strconv.AppendInt(t, n, 10) })
	case *[]Mount:
		return list(t, *v, writeMount)
	case *[]any:
		return list(t, *v, jsonText.value)
	}
	written, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err) // every planned value can be marshalled
	}
	return append(t, written...)
}

// next begins a field or an element: it appends a comma, unless the field or element is the first.
func (t jsonText) next() jsonText {
	if last := t[len(t)-1]; last == '{' || last == '[' {
		return t
	}
	return append(t, ',')
}

func (t jsonText) open() jsonText  { return append(t, '{') }
func (t jsonText) close() jsonText { return append(t, '}') }

// field begins a field. The name comes from this file, so it needs no escapes.
func (t jsonText) field(name string) jsonText {
	return append(append(append(t.next(), '"'), name...), '"', ':')
}

// key begins a field whose name does not come from this file, so key escapes the name.
func (t jsonText) key(name string) jsonText { return append(t.next().quoted(name), ':') }

func (t jsonText) quoted(value string) jsonText {
	t, err := jsontext.AppendQuote(t, value)
	if err != nil {
		panic(err) // every text of a patch is valid UTF-8
	}
	return t
}

func (t jsonText) strings(values []string) jsonText { return list(t, values, jsonText.quoted) }

func (t jsonText) stringField(name, value string) jsonText { return t.field(name).quoted(value) }

func (t jsonText) number(name string, value int32) jsonText {
	return strconv.AppendInt(t.field(name), int64(value), 10)
}

// The next three methods write nothing for an empty value.

func (t jsonText) nonEmpty(name, value string) jsonText {
	if value == "" {
		return t
	}
	return t.stringField(name, value)
}

func (t jsonText) nonEmptyList(name string, values []string) jsonText {
	if len(values) == 0 {
		return t
	}
	return t.field(name).strings(values)
}

func (t jsonText) trueField(name string, value bool) jsonText {
	if !value {
		return t
	}
	return append(t.field(name), "true"...)
}

// optional writes a field, or nothing if the value is nil.
func optional[T any](t jsonText, name string, value *T) jsonText {
	if value == nil {
		return t
	}
	return t.field(name).value(value)
}

func list[T any](t jsonText, values []T, write func(jsonText, T) jsonText) jsonText {
	t = append(t, '[')
	for _, v := range values {
		t = write(t.next(), v)
	}
	return append(t, ']')
}

func (o Object) appendTo(t jsonText) jsonText {
	t = t.open()
	for _, f := range o {
		t = t.key(f.Key).value(f.Value)
	}
	return t.close()
}

func (v Volume) appendTo(t jsonText) jsonText {
	t = t.open().stringField("name", v.Name)
	t = optional(t, "persistentVolumeClaim", v.PersistentVolumeClaim)
	t = optional(t, "emptyDir", v.EmptyDir)
	t = optional(t, "hostPath", v.HostPath)
	t = optional(t, "nfs", v.NFS)
	t = optional(t, "ephemeral", v.Ephemeral)
	t = optional(t, "csi", v.CSI)
	return t.close()
}

func (c Claim) appendTo(t jsonText) jsonText {
	return t.open().stringField("claimName", c.ClaimName).trueField("readOnly", c.ReadOnly).close()
}

func (c CSI) appendTo(t jsonText) jsonText { return t.open().trueField("readOnly", c.ReadOnly).close() }

func (e EmptyDir) appendTo(t jsonText) jsonText {
	t = optional(t.open(), "medium", e.Medium)
	t = optional(t, "sizeLimit", e.SizeLimit)
	return t.close()
}

func (v EnvVar) appendTo(t jsonText) jsonText {
	t = t.open().stringField("name", v.Name).nonEmpty("value", v.Value)
	t = optional(t, "valueFrom", v.ValueFrom)
	return t.close()
}

func (m Mount) appendTo(t jsonText) jsonText {
	return t.open().stringField("name", m.Name).trueField("readOnly", m.ReadOnly).
		nonEmpty("recursiveReadOnly", m.RecursiveReadOnly).
		stringField("mountPath", m.MountPath).nonEmpty("subPath", m.SubPath).nonEmpty("subPathExpr", m.SubPathExpr).
		nonEmpty("mountPropagation", m.MountPropagation).close()
}

func writeMount(t jsonText, m Mount) jsonText { return m.appendTo(t) }

func (c InitContainer) appendTo(t jsonText) jsonText {
	t = t.open().stringField("name", c.Name).stringField("image", c.Image).stringField("imagePullPolicy", c.ImagePullPolicy)
	t = t.field("command").strings(c.Command).field("args").strings(c.Args)
	t = optional(t, "resources", c.Resources)
	t = list(t.field("volumeMounts"), c.VolumeMounts, writeMount)
	t = t.stringField("terminationMessagePath", c.TerminationMessagePath)
	t = t.stringField("terminationMessagePolicy", c.TerminationMessagePolicy)
	t = optional(t, "securityContext", c.SecurityContext)
	return t.close()
}

func (s SecurityContext) appendTo(t jsonText) jsonText {
	t = optional(t.open(), "appArmorProfile", s.AppArmorProfile)
	t = optional(t, "seLinuxOptions", s.SELinuxOptions)
	t = optional(t, "windowsOptions", s.WindowsOptions)
	t = optional(t, "runAsUser", s.RunAsUser)
	t = optional(t, "runAsGroup", s.RunAsGroup)
	t = optional(t, "runAsNonRoot", s.RunAsNonRoot)
	t = optional(t, "privileged", s.Privileged)
	t = optional(t, "allowPrivilegeEscalation", s.AllowPrivilegeEscalation)
	t = optional(t, "readOnlyRootFilesystem", s.ReadOnlyRootFilesystem)
	t = optional(t, "capabilities", s.Capabilities)
	t = optional(t, "seccompProfile", s.SeccompProfile)
	t = optional(t, "procMount", s.ProcMount)
	return t.close()
}

func (c Capabilities) appendTo(t jsonText) jsonText {
	return t.open().nonEmptyList("add", c.Add).nonEmptyList("drop", c.Drop).close()
}

func (p Profile) appendTo(t jsonText) jsonText {
	t = t.open().stringField("type", p.Type)
	t = optional(t, "localhostProfile", p.LocalhostProfile)
	return t.close()
}

func (r Resources) appendTo(t jsonText) jsonText {
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

// appendTo writes the quantities in the order of their names.
func (q Quantities) appendTo(t jsonText) jsonText {
	names := make([]string, 0, 4) // on the stack, unlike the iterator of maps.Keys
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

func (p HTTPProbe) appendTo(t jsonText) jsonText {
	t = optional(t.open(), "httpGet", p.HTTPGet)
	t = optional(t, "tcpSocket", p.TCPSocket)
	return t.number("periodSeconds", p.PeriodSeconds).number("timeoutSeconds", p.TimeoutSeconds).
		number("failureThreshold", p.FailureThreshold).number("successThreshold", p.SuccessThreshold).close()
}

func (g HTTPGet) appendTo(t jsonText) jsonText {
	return t.open().stringField("path", g.Path).number("port", g.Port).stringField("scheme", g.Scheme).close()
}
