package handoff_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// TestCommandLinesOfReleases parses the command lines of each release (testdata/releases) and writes them again. Only the
// renamed flags may differ.
//
// UPDATE_GOLDEN=1 writes the file of this version if it is missing. It does not replace the file: after the release, the
// version stays the same until the next release is cut, and the command lines of a release must not change.
func TestCommandLinesOfReleases(t *testing.T) {
	own := "testdata/releases/" + handoff.Version + ".json"
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		writeRelease(t, own)
	}
	releases, err := filepath.Glob("testdata/releases/v*.json")
	require.NoError(t, err)
	require.Contains(t, releases, own, "write it with UPDATE_GOLDEN=1")
	for _, release := range releases {
		data, err := os.ReadFile(release)
		require.NoError(t, err)
		var lines [][]string
		require.NoError(t, json.Unmarshal(data, &lines))
		require.NotEmpty(t, lines)
		for _, args := range lines {
			assert.Equal(t, renamed(args), reread(t, args), "written by %s", strings.TrimSuffix(filepath.Base(release), ".json"))
		}
	}
}

// renamed returns the command line with the present names of the flags. In v0.1.0 the flag --denied-gids was called
// --refused-gids.
func renamed(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--refused-gids="); ok {
			args[i] = "--denied-gids=" + value
		}
	}
	return args
}

// reread parses a command line and writes it again.
func reread(t *testing.T, args []string) []string {
	t.Helper()
	if args[0] == "discover" {
		d, err := handoff.ParseDiscover(args)
		require.NoError(t, err)
		return d.Args()
	}
	e, err := handoff.ParseExec(args)
	require.NoError(t, err)
	return e.Args()
}

// TestReleaseIsWrittenOnce tests that writeRelease writes a missing file, and that it does not replace a file.
func TestReleaseIsWrittenOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "releases", "v0.0.1.json")
	writeRelease(t, file)
	require.FileExists(t, file)
	require.NoError(t, os.WriteFile(file, []byte("[]\n"), 0o644))
	writeRelease(t, file)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "[]\n", string(text))
}

// writeRelease writes the command lines of the test cases to the file, unless the file exists.
func writeRelease(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
		return
	}
	var lines [][]string
	for _, name := range slices.Sorted(maps.Keys(discoverCases)) {
		lines = append(lines, discoverCases[name].args)
	}
	for _, name := range slices.Sorted(maps.Keys(execCases)) {
		lines = append(lines, execCases[name].args)
	}
	data, err := json.MarshalIndent(lines, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, append(data, '\n'), 0o644))
}
