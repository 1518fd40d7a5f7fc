package config_test

import (
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

func TestGenerationFormat(t *testing.T) {
	assert.Regexp(t, `^[0-9a-f]{12}$`, config.Default().Generation())
}

func TestGenerationOfEqualConfigurations(t *testing.T) {
	want := config.Default().Generation()
	for _, body := range []string{
		"",
		"share: {}\nnotebook:\n",
		"notebook: {port: 8888, starts: []}\n",
		"scratch:\n  sizeLimit: 16777216\n",
		"scratch:\n  sizeLimit: 16384Ki\n",
		"notebook:\n  resources:\n    requests:\n      memory: '2048Mi'\n      cpu: 1000m\n",
		"notebook:\n  resources:\n    limits: {cpu: 2.0, memory: 4294967296}\n",
	} {
		assert.Equal(t, want, parse(t, body).Generation(), body)
	}
	reference, err := config.Parse([]byte(read(t, referenceFile)))
	require.NoError(t, err)
	assert.Equal(t, want, reference.Generation())
}

func TestGenerationDependsOnFields(t *testing.T) {
	seen := map[string]string{config.Default().Generation(): "the defaults"}
	eachField(reflect.TypeFor[config.Config](), nil, "", func(index []int, path string) {
		if path == ".Mode" {
			return
		}
		c := config.Default()
		change(reflect.ValueOf(c).Elem().FieldByIndex(index))
		generation := c.Generation()
		assert.Empty(t, seen[generation], "%s does not change the generation", path)
		seen[generation] = path
	})
	assert.Greater(t, len(seen), 30)
}

func TestGenerationIgnoresMode(t *testing.T) {
	assert.Equal(t, config.Default().Generation(), parse(t, "mode: Warn\n").Generation())
}

func eachField(t reflect.Type, index []int, path string, visit func([]int, string)) {
	for f := range t.Fields() {
		at, name := append(append([]int{}, index...), f.Index...), path+"."+f.Name
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[resource.Quantity]() {
			eachField(f.Type, at, name, visit)
			continue
		}
		visit(at, name)
	}
}

func change(v reflect.Value) {
	switch old := v.Interface().(type) {
	case resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse("77Mi")))
	case corev1.ResourceList:
		v.Set(reflect.ValueOf(corev1.ResourceList{"cpu": resource.MustParse("77")}))
	case bool:
		v.SetBool(!old)
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Slice:
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		case reflect.Map:
			v.Set(reflect.ValueOf(map[string]map[string]any{"ServerApp": {"x": int64(1)}}))
		default:
			v.SetInt(v.Int() + 1)
		}
	}
}

func TestJupyterConfigRoundTrip(t *testing.T) {
	c := parse(t, `notebook: {jupyterConfig: {A: {text: "yes", unquoted: no, n: -3, f: 1.5, on: true, list: [1, a, [x]], map: {k: {l: 2}}}}}`)
	assert.Equal(t, map[string]map[string]any{"A": {"text": "yes", "unquoted": "no", "n": int64(-3), "f": 1.5, "on": true,
		"list": []any{int64(1), "a", []any{"x"}}, "map": map[string]any{"k": map[string]any{"l": int64(2)}}}}, c.Notebook.JupyterConfig)
	written, err := c.YAML()
	require.NoError(t, err)
	back, err := config.Parse(written)
	require.NoError(t, err, "%s", written)
	assert.Equal(t, c, back)
	assert.Equal(t, c.Generation(), back.Generation())
}

func TestGenerationOfNilAndEmptyLists(t *testing.T) {
	c := config.Default()
	c.User.Reserved = []string{}
	c.Share.Directories = []config.Directory{}
	assert.Equal(t, config.Default().Generation(), c.Generation())
}

// TestYAMLOfSpecialText writes and reads texts that YAML versions read differently, or that YAML writers can write wrongly.
func TestYAMLOfSpecialText(t *testing.T) {
	for _, value := range []string{
		"", " ", "yes", "No", "on", "true", "null", "~", "5", "0o17", "0x1F", "1e3", ".5", "1_000", "12:30", "2024-01-01",
		"- a", "a: b", "a #b", "#", "&a", "*a", "!a", "%a", "@a", "`", "{}", "[]", "<<", "=", "|", ">", "'", `"`, `\`,
		"two\nlines", "\nbegins", "ends\n\n", "  both  ", "tab\t", "\u0085", "\u2028", "\u00a0", "\ufeff", "\ufffd",
		"\x1b[0m", "é", "日本", "😀", "---", "...",
	} {
		c := config.Default()
		c.Notebook.Env = []config.EnvVar{{Name: "X", Value: value}}
		written, err := c.YAML()
		require.NoError(t, err)
		back, err := config.Parse(written)
		require.NoError(t, err, "%q\n%s", value, written)
		assert.Equal(t, c, back)
	}
}

func TestYAMLOfInvalidUTF8(t *testing.T) {
	c := config.Default()
	c.User.Domains = []string{"\xff"}
	_, err := c.YAML()
	require.Error(t, err)
}

func TestConcurrentReads(t *testing.T) {
	c := parse(t, "scratch:\n  sizeLimit: 32Mi\n")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			assert.Equal(t, "32Mi", c.Scratch.SizeLimit.String())
			assert.Equal(t, "16Mi", config.Default().Scratch.SizeLimit.String())
			assert.Empty(t, c.Validate())
			assert.Len(t, c.Generation(), 12)
			_, err := c.YAML()
			assert.NoError(t, err)
		})
	}
	all.Wait()
}
