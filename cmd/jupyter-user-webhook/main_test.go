package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestMain lets this test binary be the command, for the tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("BE_JUPYTER_USER_WEBHOOK") != "" {
		main()
		return
	}
	m.Run()
}

// outcome of a command.
type outcome struct {
	status    int
	out, errs string
}

// command runs the command line as main does.
func command(t *testing.T, in string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(in), &out, &errs)
	return outcome{status, out.String(), errs.String()}
}

func TestVersion(t *testing.T) {
	got := command(t, "", "version")
	assert.Zero(t, got.status)
	assert.Regexp(t, `\Adev go1\.\S+ \w+/\w+( [0-9a-f]+)?\n\z`, got.out)
	assert.Empty(t, got.errs)
}

func TestSlips(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"an unknown command":      {[]string{"injekt"}, `Error: unknown command "injekt"`},
		"an unknown flag":         {[]string{"inject", "--frobnicate"}, "Error: unknown flag: --frobnicate"},
		"no file":                 {[]string{"inject"}, `Error: required flag(s) "filename" not set`},
		"an argument too many":    {[]string{"inject", "-f", "-", "pod.yaml"}, `Error: unknown command "pod.yaml"`},
		"an argument to serve":    {[]string{"serve", "now"}, `Error: unknown command "now"`},
		"an argument to version":  {[]string{"version", "-v"}, "Error: unknown shorthand flag"},
		"a drain that is no time": {[]string{"serve", "--drain", "soon"}, `Error: invalid argument "soon"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, "", c.args...)
			assert.Equal(t, 2, got.status)
			assert.Empty(t, got.out)
			assert.True(t, strings.HasPrefix(got.errs, c.says), got.errs)
		})
	}
}
