package pod

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// TestViewMatchesKubernetesAPI compares each field of the view with k8s.io/api: the JSON name and the kind of the Go type must
// be the same.
func TestViewMatchesKubernetesAPI(t *testing.T) {
	compare(t, "", reflect.TypeFor[Pod](), reflect.TypeFor[corev1.Pod]())
	compare(t, "", reflect.TypeFor[InitContainer](), reflect.TypeFor[corev1.Container]())
}

func compare(t *testing.T, path string, view, api reflect.Type) {
	t.Helper()
	view, api = deref(view), deref(api)
	switch {
	case view == reflect.TypeFor[jsontext.Value]():
		return // kept as JSON
	case view == reflect.TypeFor[skipped]():
		return // not read
	case view.Kind() == reflect.Slice, view.Kind() == reflect.Map:
		require.Equal(t, api.Kind(), view.Kind(), path)
		compare(t, path+"[]", view.Elem(), api.Elem())
	case view.Kind() == reflect.Struct:
		require.Equal(t, reflect.Struct, api.Kind(), path)
		for i := range view.NumField() {
			field := view.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			require.NotEmpty(t, name, "%s.%s", path, field.Name)
			apiField, ok := byJSON(api, name)
			if assert.True(t, ok, "%s.%s is no field of %s", path, name, api) {
				compare(t, path+"."+name, field.Type, apiField)
			}
		}
	default:
		assert.Equal(t, api.Kind(), view.Kind(), path)
	}
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// byJSON returns the type of the field with a JSON name. It also searches embedded structs.
func byJSON(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == name {
			return field.Type, true
		}
		if tag == "" && field.Anonymous {
			if found, ok := byJSON(deref(field.Type), name); ok {
				return found, true
			}
		}
	}
	return nil, false
}

func TestReadInvalidPod(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"incomplete JSON": {`{`, "unexpected EOF"},
		"a list":          {`[]`, "the document has a list where it needs a map"},
		"a Node":          {`{"apiVersion":"v1","kind":"Node"}`, `it has apiVersion "v1" and kind "Node"`},
		"duplicate spec":  {`{"apiVersion":"v1","kind":"Pod","spec":{},"spec":{}}`, `duplicate field "spec"`},
		"wrong type":      {`{"apiVersion":"v1","kind":"Pod","spec":{"containers":{}}}`, "spec.containers has a map where it needs a list"},
		"fractional GID":  {`{"apiVersion":"v1","kind":"Pod","spec":{"securityContext":{"fsGroup":1.5}}}`, "spec.securityContext.fsGroup has a number where it needs a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read([]byte(c.raw))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}

func TestReadIsCaseSensitive(t *testing.T) {
	pod, err := Read([]byte(`{"apiVersion":"v1","kind":"Pod","SPEC":{"containers":[{"name":"x"}]}}`))
	require.NoError(t, err)
	assert.Empty(t, pod.Spec.Containers, "SPEC is not spec")
}
