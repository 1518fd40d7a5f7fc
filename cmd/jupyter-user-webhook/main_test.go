package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary run as the program, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("BE_JUPYTER_USER_WEBHOOK") != "" {
		main()
		return
	}
	m.Run()
}

type outcome struct {
	status      int
	out, stderr string
}

// command runs a command line of the program, with the given standard input.
func command(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, stderr bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(stdin), &out, &stderr)
	return outcome{status, out.String(), stderr.String()}
}

func TestVersion(t *testing.T) {
	got := command(t, "", "version")
	assert.Zero(t, got.status)
	assert.Regexp(t, `\Adev go1\.\S+ \w+/\w+( [0-9a-f]+)?\n\z`, got.out)
	assert.Empty(t, got.stderr)
}

func TestInvalidCommandLines(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"an unknown command":            {[]string{"injekt"}, `Error: unknown command "injekt"`},
		"an unknown flag":               {[]string{"inject", "--frobnicate"}, "Error: unknown flag: --frobnicate"},
		"no file":                       {[]string{"inject"}, `Error: required flag(s) "filename" not set`},
		"an argument too many":          {[]string{"inject", "-f", "-", "pod.yaml"}, `Error: unknown command "pod.yaml"`},
		"an argument to serve":          {[]string{"serve", "now"}, `Error: unknown command "now"`},
		"an argument to version":        {[]string{"version", "-v"}, "Error: unknown shorthand flag"},
		"an argument to rotate":         {[]string{"rotate-certificates", "now"}, `Error: unknown command "now"`},
		"no time between checks":        {[]string{"rotate-certificates", "--every=0s"}, "Error: --every 0s and --overlap 10m0s: "},
		"no overlap":                    {[]string{"rotate-certificates", "--overlap=1s"}, "Error: --every 10s and --overlap 1s: "},
		"no kubeconfig to rotate in":    {[]string{"rotate-certificates", "--kubeconfig", "/nowhere"}, "Error: find the cluster: "},
		"an argument to check":          {[]string{"check", "now"}, `Error: unknown command "now"`},
		"an invalid output":             {[]string{"check", "-o", "yaml"}, `Error: -o "yaml" is none of table, json`},
		"no kubeconfig":                 {[]string{"check", "--kubeconfig", "/nowhere"}, "Error: find the cluster: "},
		"access without a user":         {[]string{"check", "access"}, `Error: required flag(s) "user" not set`},
		"groups without a requester":    {[]string{"check", "access", "--user", "a", "--as-group", "g"}, "Error: --as-group needs --as too"},
		"access of an empty name":       {[]string{"check", "access", "--as", "", "--user", "a"}, "Error: --as has an empty value"},
		"check of an empty name":        {[]string{"check", "--only="}, "Error: --only has an empty value"},
		"check of an empty address":     {[]string{"check", "--share-address="}, "Error: --share-address has an empty value"},
		"access to an empty user":       {[]string{"check", "access", "--as", "a", "--user="}, "Error: --user has an empty value"},
		"access by no group":            {[]string{"check", "access", "--as", "a", "--as-group", "", "--user", "a"}, "Error: --as-group has an empty value"},
		"access in an empty namespace":  {[]string{"check", "access", "--user", "a", "-n", ""}, "Error: --namespace has an empty value"},
		"a check of an empty user":      {[]string{"check", "--user", ""}, "Error: --user has an empty value"},
		"a check of an empty namespace": {[]string{"check", "-n", "lab", "-n", ""}, "Error: --namespace has an empty value"},
		"an invalid drain":              {[]string{"serve", "--drain", "soon"}, `Error: invalid argument "soon"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, "", c.args...)
			assert.Equal(t, 2, got.status)
			assert.Empty(t, got.out)
			assert.True(t, strings.HasPrefix(got.stderr, c.says), got.stderr)
		})
	}
}

// TestUnreachableCluster tests that a cluster that cannot be reached gives exit status 2.
func TestUnreachableCluster(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(`{apiVersion: v1, kind: Config, current-context: c,
  clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], contexts: [{name: c, context: {cluster: c}}]}`), 0o600))
	for _, args := range [][]string{{"check"}, {"check", "access", "--user", "alice"}} {
		got := command(t, "", append(args, "--kubeconfig", kubeconfig)...)
		assert.Equal(t, 2, got.status)
		assert.Empty(t, got.out)
		assert.Contains(t, got.stderr, "Error: ask the API server for its version: ")
	}
}
