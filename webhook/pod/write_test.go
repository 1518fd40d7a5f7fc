package pod

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"
)

// TestWrittenValuesEqualJSONLibrary writes values of each type with the functions of write.go and with the JSON library,
// and compares the two results. Each type has a value with all fields and a value with none, so that a forgotten field is
// found.
func TestWrittenValuesEqualJSONLibrary(t *testing.T) {
	for _, empty := range []any{
		new(string), new(bool), new(int64), new([]string), new([]int64), new([]Mount), new([]any), new(jsontext.Value),
		&Volume{}, &Claim{}, &EmptyDir{}, &EnvVar{}, &Mount{}, &InitContainer{}, &SecurityContext{}, &Capabilities{}, &Profile{}, &Resources{},
		&Quantities{}, &HTTPProbe{}, &HTTPGet{}, &TCPSocket{}, &Port{}, &LocalReference{},
	} {
		full := reflect.New(reflect.TypeOf(empty).Elem())
		fill(full.Elem())
		values := []any{full.Interface(), full.Elem().Interface()}
		if _, raw := empty.(*jsontext.Value); !raw { // an empty value is not JSON
			values = append(values, empty)
		}
		for i, v := range values {
			t.Run(fmt.Sprintf("%T/%d", v, i), func(t *testing.T) {
				want, err := json.Marshal(v, json.Deterministic(true))
				require.NoError(t, err)
				assert.Equal(t, string(want), string(jsonText(nil).value(v)))
			})
		}
	}
}

// fill sets every field of a value. Its strings have characters that JSON must escape.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case jsontext.Value:
		v.Set(reflect.ValueOf(jsontext.Value(`"1500m"`)))
		return
	case Quantities:
		v.Set(reflect.ValueOf(Quantities{"memory": jsontext.Value(`"1Gi"`), "cpu": jsontext.Value(`2`), `example.com/"x"`: jsontext.Value(`1`)}))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(&EnvVar{Name: "HOME", Value: "/home/alice"}))
	case reflect.String:
		v.SetString("\"quoted\"\\ <&> \x00\n\t\u2028 größer 😀")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(-1 << 31)
	default:
		panic(v.Type().String() + " is not known here")
	}
}

func TestAppendPatch(t *testing.T) {
	home := "/home/alice"
	for want, operations := range map[string][]jsonpatch.Operation{
		`[]`: nil,
		`[{"op":"remove","path":"/spec/containers/0/env/1"}]`: {
			jsonpatch.NewOperation("remove", "/spec/containers/0/env/1", nil)},
		`[{"op":"add","path":"/metadata/annotations/jupyter-user.io~1user","value":"alice"},{"op":"replace","path":"/x","value":"/home/alice"}]`: {
			jsonpatch.NewOperation("add", "/metadata/annotations/jupyter-user.io~1user", new("alice")),
			jsonpatch.NewOperation("replace", "/x", home)},
		`[{"op":"add","path":"/spec/securityContext","value":{"supplementalGroups":[7001,7002],"supplementalGroupsPolicy":"Strict"}}]`: {
			jsonpatch.NewOperation("add", "/spec/securityContext", &Object{
				{"supplementalGroups", new([]int64{7001, 7002})}, {"supplementalGroupsPolicy", new("Strict")}})},
		`[{"op":"add","path":"/spec/volumes","value":[{"name":"a"},{"name":"b","emptyDir":{}}]}]`: {
			jsonpatch.NewOperation("add", "/spec/volumes", &[]any{&Volume{Name: "a"}, &Volume{Name: "b", EmptyDir: &EmptyDir{}}})},
	} {
		t.Run(want, func(t *testing.T) {
			assert.Equal(t, want, string(AppendPatch(nil, operations)))
			assert.Equal(t, "before"+want, string(AppendPatch([]byte("before"), operations)))
			whole, err := json.Marshal(operations)
			require.NoError(t, err)
			assert.JSONEq(t, want, string(whole), "as the JSON library writes it")
		})
	}
}
