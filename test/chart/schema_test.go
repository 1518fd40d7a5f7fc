package chart

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// A schema is a part of values.schema.json.
type schema = map[string]any

// configSchema returns the part of values.schema.json for the value config.
func configSchema(t *testing.T) schema {
	t.Helper()
	chart, err := helm.Chart()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	require.NoError(t, err)
	var all schema
	require.NoError(t, json.Unmarshal(data, &all))
	return all["properties"].(schema)["config"].(schema)
}

// TestSchemaIsTheTypes tests that the schema of the value config has the keys, the types and the choices of package config,
// and no others. So Helm denies a key or a choice that the webhook does not know, before anything is changed.
//
// Other keywords, such as maxItems, are not compared. The schema also has keys of 0.1.0, which the test leaves out. For
// each of them, the chart's template 00-values.yaml has a message that names the new key.
func TestSchemaIsTheTypes(t *testing.T) {
	t.Parallel()
	sections := configSchema(t)
	for key, old := range map[string][]string{"share": {"homes", "readOnly"}, "user": {"domain"},
		"identity": {"way", "refusedGIDs"}} {
		properties := sections["properties"].(schema)[key].(schema)["properties"].(schema)
		for _, name := range old {
			require.Contains(t, properties, name)
			delete(properties, name)
		}
	}
	want := schemaOf(reflect.TypeFor[config.Config](), choices(t))
	properties := want["properties"].(schema)
	for _, key := range []string{"apiVersion", "kind", "mode"} { // The chart writes these.
		delete(properties, key)
	}
	// Helm denies a section without a value. The webhook accepts such a section, and uses the defaults.
	want["type"] = []any{"object"}
	for _, section := range properties {
		section.(schema)["type"] = []any{"object"}
	}
	assert.Equal(t, indented(t, want), indented(t, withoutLimits(sections)))
}

func indented(t *testing.T, s schema) string {
	t.Helper()
	text, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	return string(text)
}

// schemaOf returns the schema of a type of package config. The value of a key may be null: the webhook then uses the
// default. An element of a list or of a map must not be null. The value of a key with choices must not be null either,
// because Helm's message about a wrong choice lists all choices, and would list null.
func schemaOf(goType reflect.Type, choices map[string][]any) schema {
	nullable := func(types ...any) []any { return append(types, "null") }
	switch {
	case goType == reflect.TypeFor[resource.Quantity]():
		return schema{"type": nullable("string", "number")}
	case len(choices[goType.Name()]) > 0:
		return schema{"enum": choices[goType.Name()]}
	}
	switch goType.Kind() {
	case reflect.Struct:
		properties := schema{}
		for f := range goType.Fields() {
			properties[f.Tag.Get("json")] = schemaOf(f.Type, choices)
		}
		return schema{"type": nullable("object"), "additionalProperties": false, "properties": properties}
	case reflect.Map:
		return schema{"type": nullable("object"), "additionalProperties": element(goType.Elem(), choices)}
	case reflect.Slice:
		return schema{"type": nullable("array"), "items": element(goType.Elem(), choices)}
	case reflect.Bool:
		return schema{"type": nullable("boolean")}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return schema{"type": nullable("integer")}
	case reflect.Interface:
		return schema{}
	}
	return schema{"type": nullable("string")}
}

// element returns the schema of an element of a list or of a map. An element must not be null.
func element(goType reflect.Type, choices map[string][]any) schema {
	s := schemaOf(goType, choices)
	if types, typed := s["type"].([]any); typed {
		s["type"] = types[:len(types)-1]
	}
	if goType.Kind() == reflect.Map && goType.Elem().Kind() == reflect.Interface {
		delete(s, "additionalProperties") // The settings of Jupyter have any values.
	}
	return s
}

// withoutLimits returns a schema without keywords such as maxItems. It makes each type a list, and leaves out the choice
// "".
func withoutLimits(s schema) schema {
	kept := schema{}
	for key, value := range s {
		switch value := value.(type) {
		case schema:
			kept[key] = value
			if key == "items" || key == "additionalProperties" {
				kept[key] = withoutLimits(value)
			}
			if key == "properties" {
				properties := schema{}
				for name, property := range value {
					properties[name] = withoutLimits(property.(schema))
				}
				kept[key] = properties
			}
		default:
			if key == "type" || key == "enum" || key == "additionalProperties" {
				kept[key] = value
			}
		}
	}
	if name, one := kept["type"].(string); one {
		kept["type"] = []any{name}
	}
	if values, list := kept["enum"].([]any); list {
		kept["enum"] = slices.DeleteFunc(slices.Clone(values), func(choice any) bool { return choice == "" })
	}
	return kept
}

// choices returns the values of the constants of each string type of package config, by the name of the type, in the
// order of the source. A type without constants, such as HomePattern, has no choices.
func choices(t *testing.T) map[string][]any {
	t.Helper()
	found := map[string][]any{}
	files, err := filepath.Glob("../../webhook/config/*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			constant, is := n.(*ast.ValueSpec)
			if !is || len(constant.Values) != 1 {
				return true
			}
			name, typed := constant.Type.(*ast.Ident)
			literal, text := constant.Values[0].(*ast.BasicLit)
			if typed && text && literal.Kind == token.STRING {
				value, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				found[name.Name] = append(found[name.Name], value)
			}
			return true
		})
	}
	require.Equal(t, []any{"Auto", "AtAdmission", "AtStart"}, found["Discovery"])
	return found
}

// TestSchemaHasTheLimits tests that the schema has the minimum and the maximum of each integer outside lists: package
// config accepts both, and denies the next lower and the next higher number.
func TestSchemaHasTheLimits(t *testing.T) {
	t.Parallel()
	numbers := 0
	eachNumber(t, reflect.TypeFor[config.Config](), configSchema(t), nil, "", func(index []int, path string, limits schema) {
		numbers++
		low, has := limits["minimum"].(float64)
		require.True(t, has, "%s has no minimum", path)
		high, has := limits["maximum"].(float64)
		require.True(t, has, "%s has no maximum", path)
		for number, accepted := range map[int64]bool{int64(low) - 1: false, int64(low): true, int64(high): true,
			int64(high) + 1: false} {
			c := config.Default()
			field := reflect.ValueOf(c).Elem().FieldByIndex(index)
			if field.OverflowInt(number) {
				continue // The decoder denies this number.
			}
			field.SetInt(number)
			denied := false
			for _, e := range c.Validate() {
				denied = denied || e.Field == path
			}
			assert.Equal(t, accepted, !denied, "%s: %d", path, number)
		}
	})
	assert.Greater(t, numbers, 15)
}

// eachNumber calls the function "check" for each integer field of a struct type and of the structs inside it, but not
// inside lists and maps. The function gets the index of the field for reflect.Value.FieldByIndex, the keys that lead to the
// field, with dots between them, and the schema of the field.
func eachNumber(t *testing.T, goType reflect.Type, s schema, index []int, path string,
	check func(index []int, path string, limits schema)) {
	t.Helper()
	for f := range goType.Fields() {
		property, known := s["properties"].(schema)[f.Tag.Get("json")].(schema)
		if !known {
			continue
		}
		at, name := append(slices.Clone(index), f.Index...), strings.TrimPrefix(path+"."+f.Tag.Get("json"), ".")
		switch {
		case f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[resource.Quantity]():
			eachNumber(t, f.Type, property, at, name, check)
		case f.Type.Kind() == reflect.Int || f.Type.Kind() == reflect.Int32 || f.Type.Kind() == reflect.Int64:
			check(at, name, property)
		}
	}
}
