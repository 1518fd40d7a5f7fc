package tools

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fake Tool = "fake"

// newFake returns a builder with an empty cache. Its only tool is a small program with its own module.
func newFake(t *testing.T) *builder {
	t.Helper()
	b := fakeBuilder(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Join(b.modules, "fake"), 0o755))
	writeFake(t, b, "go.mod", "module example.test/fake\n\ngo 1.26\n\nrequire example.test/other v1.2.3\n")
	writeFake(t, b, "go.sum", "")
	// The program imports nothing, so that it compiles fast.
	writeFake(t, b, "main.go", "package main\n\nvar version = \"none\"\n\nfunc main() { println(version) }\n")
	return b
}

func fakeBuilder(folder string) *builder {
	return &builder{
		modules: filepath.Join(folder, "modules"),
		cache:   filepath.Join(folder, "cache"),
		command: "go",
		recipes: map[Tool]recipe{fake: {
			folder: "fake", mainPackage: "example.test/fake", module: "example.test/other",
			stamp: func(version string) map[string]string { return map[string]string{"main.version": version} },
		}},
	}
}

func writeFake(t *testing.T, b *builder, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(b.modules, "fake", name), []byte(text), 0o644))
}

func cached(t *testing.T, b *builder) []string {
	t.Helper()
	entries, err := os.ReadDir(b.cache)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestBuildOnceWithVersion(t *testing.T) {
	b := newFake(t)
	var progress bytes.Buffer
	b.progress = &progress

	path, err := b.build(t.Context(), fake)
	require.NoError(t, err)
	assert.Contains(t, progress.String(), "fake  built in ")
	output, err := exec.Command(path).CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "v1.2.3\n", string(output), "the version that go.mod requires")
	assert.Len(t, cached(t, b), 2, "the tool and its lock")

	progress.Reset()
	before, err := os.Stat(path)
	require.NoError(t, err)
	again, err := b.build(t.Context(), fake)
	require.NoError(t, err)
	assert.Equal(t, path, again)
	assert.Empty(t, progress.String())
	after, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime(), "it was built again")
}

func TestUnknownTool(t *testing.T) {
	_, err := newFake(t).buildAll(t.Context(), []Tool{"kubelet"})
	assert.EqualError(t, err, "build kubelet: there is no such tool: choose from [fake]")
}

func TestFailedBuild(t *testing.T) {
	b := newFake(t)
	writeFake(t, b, "main.go", "package main\n\nfunc main() { nonsense() }\n")
	_, err := b.build(t.Context(), fake)
	require.ErrorContains(t, err, "undefined: nonsense")
	require.ErrorContains(t, err, "`go build example.test/fake` in test/tools/fake")
	assert.Equal(t, []string{"fake.lock"}, cached(t, b))
}

func TestMissingModule(t *testing.T) {
	b := newFake(t)
	t.Setenv("GOPROXY", "off")
	writeFake(t, b, "main.go", "package main\n\nimport _ \"example.test/other\"\n\nfunc main() {}\n")
	_, err := b.build(t.Context(), fake)
	require.ErrorContains(t, err, "`go list example.test/fake` in test/tools/fake")
	require.ErrorContains(t, err, "example.test/other")
}

func TestMissingGoCommand(t *testing.T) {
	b := newFake(t)
	t.Setenv("PATH", t.TempDir())
	_, err := b.build(t.Context(), fake)
	require.ErrorIs(t, err, exec.ErrNotFound)
	require.ErrorContains(t, err, "install Go from https://go.dev/dl, or set KUBEBUILDER_ASSETS")
}
