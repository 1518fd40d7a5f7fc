package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
)

func fakeKey(t *testing.T, b *builder) string {
	t.Helper()
	ingredients, err := b.ingredients(t.Context(), b.recipes[fake])
	require.NoError(t, err)
	return cache.Key(ingredients)
}

func TestKeyStaysTheSame(t *testing.T) {
	b := newFake(t)
	before := fakeKey(t, b)
	assert.Equal(t, before, fakeKey(t, b), "the second time")
	writeFake(t, b, "notes.txt", "no input of the build")
	assert.Equal(t, before, fakeKey(t, b))
}

func TestKeyChangesWithInputs(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, b *builder){
		"go.mod": func(t *testing.T, b *builder) {
			writeFake(t, b, "go.mod", "module example.test/fake\n\ngo 1.25\n\nrequire example.test/other v1.2.3\n")
		},
		"go.sum": func(t *testing.T, b *builder) { writeFake(t, b, "go.sum", "\n") },
		"the program itself": func(t *testing.T, b *builder) {
			writeFake(t, b, "main.go", "package main\n\nfunc main() {}\n")
		},
		"a source below": func(t *testing.T, b *builder) {
			require.NoError(t, os.Mkdir(filepath.Join(b.modules, "fake", "more"), 0o755))
			writeFake(t, b, "more/main.go", "package main\n")
		},
		"flags of the user":   func(t *testing.T, _ *builder) { t.Setenv("GOFLAGS", "-tags=other") },
		"flags of the linker": func(_ *testing.T, b *builder) { changeRecipe(b, func(r *recipe) { r.stamp = nil }) },
		"package": func(_ *testing.T, b *builder) {
			changeRecipe(b, func(r *recipe) { r.mainPackage += "/other" })
		},
		"level of instruction": func(t *testing.T, _ *builder) { t.Setenv("GOAMD64", "v2"); t.Setenv("GOARM64", "v9.0") },
		"experiments":          func(t *testing.T, _ *builder) { t.Setenv("GOEXPERIMENT", "nogreenteagc") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFake(t)
			t.Setenv("GOFLAGS", "")
			before := fakeKey(t, b)
			change(t, b)
			assert.NotEqual(t, before, fakeKey(t, b))
		})
	}
}

func changeRecipe(b *builder, change func(*recipe)) {
	r := b.recipes[fake]
	change(&r)
	b.recipes[fake] = r
}

func TestIngredientsHaveToolchain(t *testing.T) {
	b := newFake(t)
	ingredients, err := b.ingredients(t.Context(), b.recipes[fake])
	require.NoError(t, err)
	assert.Contains(t, ingredients, `"GOVERSION": "go1.`)
	assert.Contains(t, ingredients, "CGO_ENABLED=0")
	assert.Contains(t, ingredients, "-X main.version=v1.2.3")
}

func TestRecipesHaveVersions(t *testing.T) {
	modules, err := modulesFolder()
	require.NoError(t, err)
	for tool, r := range recipes() {
		t.Run(string(tool), func(t *testing.T) {
			version, err := requiredVersion(filepath.Join(modules, r.folder, "go.mod"), r.module)
			require.NoError(t, err)
			assert.Regexp(t, `^v\d+\.\d+\.\d+$`, version)
			arguments, err := r.arguments(modules)
			require.NoError(t, err)
			if r.stamp != nil {
				assert.Contains(t, strings.Join(arguments, " "), strings.TrimPrefix(version, "v"))
			}
		})
	}
}

func TestKubernetesVersion(t *testing.T) {
	assert.Equal(t, map[string]string{
		"k8s.io/component-base/version.gitVersion": "v1.37.2",
		"k8s.io/component-base/version.gitMajor":   "1",
		"k8s.io/component-base/version.gitMinor":   "37",
		"k8s.io/component-base/version.gitCommit":  "unknown",
		"k8s.io/client-go/pkg/version.gitVersion":  "v1.37.2",
		"k8s.io/client-go/pkg/version.gitMajor":    "1",
		"k8s.io/client-go/pkg/version.gitMinor":    "37",
		"k8s.io/client-go/pkg/version.gitCommit":   "unknown",
	}, kubernetesVersion("v1.37.2"))
}

func TestModuleWithoutTool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "go.mod")
	require.NoError(t, os.WriteFile(path, []byte("module example.test/empty\n"), 0o644))
	_, err := requiredVersion(path, "example.test/other")
	require.ErrorContains(t, err, "requires no version of example.test/other: run `go get -tool`")
}

// TestOlderReleasesOfKubernetes tests that the environment variable KUBERNETES selects the release of the API server, and
// not the release of kubectl. The Makefile must list all releases that have a module in this folder.
func TestOlderReleasesOfKubernetes(t *testing.T) {
	modules, err := modulesFolder()
	require.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(modules, "../../Makefile"))
	require.NoError(t, err)
	_, list, _ := strings.Cut(string(makefile), "\nRELEASES    := ")
	list, _, _ = strings.Cut(list, "\n")
	releases := strings.Fields(list)
	require.NotEmpty(t, releases)
	for _, release := range releases {
		t.Setenv("KUBERNETES", release)
		r := recipes()[KubeAPIServer]
		version, err := requiredVersion(filepath.Join(modules, r.folder, "go.mod"), r.module)
		require.NoError(t, err)
		assert.Contains(t, version, "v"+release+".")
		assert.Equal(t, "kubernetes", recipes()[Kubectl].folder)
	}
	folders, err := filepath.Glob(filepath.Join(modules, "kubernetes-*"))
	require.NoError(t, err)
	assert.Len(t, folders, len(releases), "each is in the Makefile")
}
