package config_test

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const header = "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"

func parse(t *testing.T, body string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(header + body))
	require.NoError(t, err)
	return c
}

func TestParseHeaderOnly(t *testing.T) {
	assert.Equal(t, config.Default(), parse(t, ""))
	assert.Equal(t, config.Default(), parse(t, "# a comment\n"))
}

func TestParseWindowsFile(t *testing.T) {
	c, err := config.Parse([]byte("\ufeff" + strings.ReplaceAll(header+"notebook:\n  port: 9999\n", "\n", "\r\n")))
	require.NoError(t, err)
	assert.EqualValues(t, 9999, c.Notebook.Port)
}

func TestParseJSON(t *testing.T) {
	c, err := config.Parse([]byte(`{"apiVersion":"jupyter-user.io/v1alpha1","kind":"WebhookConfiguration",` +
		`"notebook":{"port":9999,"resources":{"limits":{}}}}`))
	require.NoError(t, err)
	assert.EqualValues(t, 9999, c.Notebook.Port)
	assert.Nil(t, c.Notebook.Resources.Limits)
}

// TestParseNull tests that a key without a value has its default, except that a probe is turned off.
func TestParseNull(t *testing.T) {
	golden := read(t, "testdata/defaults.yaml")
	for _, key := range regexp.MustCompile(`(?m)^ *([A-Za-z]+):`).FindAllStringSubmatch(golden, -1) {
		for _, null := range []string{"", " null", " ~"} {
			c, want := parse(t, fileWith(t, key[1], null)), config.Default()
			switch key[1] {
			case "startup":
				want.Notebook.Probes.Startup.Enabled = false
			case "readiness":
				want.Notebook.Probes.Readiness.Enabled = false
			case "liveness":
				want.Notebook.Probes.Liveness.Enabled = false
			}
			assert.Equal(t, want, c, "%s:%s", key[1], null)
		}
	}
}

// fileWith returns a file in which the key has the value, below the same parent keys as in testdata/defaults.yaml. It
// returns "" for keys that need a value.
func fileWith(t *testing.T, key, value string) string {
	if key == "apiVersion" || key == "kind" || key == "cpu" || key == "memory" || key == "name" || key == "value" {
		return ""
	}
	var around []string
	for line := range strings.Lines(read(t, "testdata/defaults.yaml")) {
		indent := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		around = append(around[:min(indent, len(around))], strings.Repeat("  ", indent)+name+":")
		if name == key {
			return strings.Join(around, "\n") + value + "\n"
		}
	}
	t.Fatal("no such key: " + key)
	return ""
}

func TestParseKeepsOtherDefaults(t *testing.T) {
	want := config.Default()
	want.Notebook.Probes.Startup.FailureThreshold = 7
	assert.Equal(t, want, parse(t, "notebook:\n  probes:\n    startup:\n      failureThreshold: 7\n"))
}

func TestParseReplacesLists(t *testing.T) {
	c := parse(t, "notebook:\n  containerNames: [lab]\n  env: []\n")
	assert.Equal(t, []string{"lab"}, c.Notebook.ContainerNames)
	assert.Empty(t, c.Notebook.Env)
}

func TestParseReplacesMaps(t *testing.T) {
	c := parse(t, "notebook:\n  resources:\n    requests:\n      cpu: 500m\n    limits: {}\n")
	assert.Equal(t, []corev1.ResourceName{"cpu"}, namesOf(c.Notebook.Resources.Requests))
	assert.Empty(t, c.Notebook.Resources.Limits)
	assert.Len(t, c.Init.Resources.Limits, 2, "the other container keeps the default")
}

func namesOf(list corev1.ResourceList) []corev1.ResourceName {
	var names []corev1.ResourceName
	for name := range list {
		names = append(names, name)
	}
	return names
}

func TestParseQuantities(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1", "'1'": "1", "1.5": "1500m", "0.5": "500m", "250m": "250m", "1000m": "1", "1e1": "10", "1Ki": "1024",
	} {
		c := parse(t, "init:\n  resources:\n    requests:\n    limits:\n      cpu: "+text+"\n")
		got, expected := c.Init.Resources.Limits["cpu"], resource.MustParse(want)
		assert.Zero(t, expected.Cmp(got), "%s is %s, got %s", text, want, got.String())
	}
}

func TestParseText(t *testing.T) {
	for text, want := range map[string]string{
		"yes": "yes", "no": "no", "2024-01-01": "2024-01-01", "<<": "<<", "'5'": "5", `"a\nb"`: "a\nb", "''": "",
		"|\n      two\n      lines": "two\nlines\n",
	} {
		c := parse(t, "notebook:\n  env:\n  - name: X\n    value: "+text+"\n")
		assert.Equal(t, want, c.Notebook.Env[0].Value)
	}
}

func TestParseErrors(t *testing.T) {
	_, err := config.Parse([]byte(header + "share:\n  clamName: x\nnotebook:\n  port: 0\n"))
	var all config.Errors
	require.True(t, errors.As(err, &all))
	assert.Equal(t, config.Errors{
		{Line: 4, Path: "share.clamName", Message: "unknown key; did you mean claimName?"},
		{Line: 6, Path: "notebook.port", Message: "Invalid value: 0: must be between 1 and 65535, inclusive"},
	}, all)
	assert.EqualError(t, all[0], "line 4: share.clamName: unknown key; did you mean claimName?")
}

func TestReadLimit(t *testing.T) {
	endless := &counter{}
	_, err := config.Read(endless)
	require.EqualError(t, err, "the file has more than 256 KiB, the most that is read")
	assert.LessOrEqual(t, endless.bytes, 2*config.MaxBytes)
}

func TestRead(t *testing.T) {
	c, err := config.Read(strings.NewReader(header))
	require.NoError(t, err)
	assert.Equal(t, config.Default(), c)
}

func TestReadError(t *testing.T) {
	_, err := config.Read(io.MultiReader(strings.NewReader(header), failing{}))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

type counter struct{ bytes int }

func (c *counter) Read(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
