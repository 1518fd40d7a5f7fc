package images

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// buildArchives builds and returns the archives. Without E2E=1 it skips the test, because the build needs root and takes minutes.
func buildArchives(t *testing.T) Archives {
	t.Helper()
	if os.Getenv("E2E") == "" {
		t.Skip("builds container images, as root and with Debian's packages: set E2E=1, or run make e2e")
	}
	archives, err := Build(t.Context(), os.Stderr)
	require.NoError(t, err)
	return archives
}

func TestOurImageIsTwoStaticProgramsAndNothingElse(t *testing.T) {
	image, err := inspect(buildArchives(t).Webhook, Webhook)
	require.NoError(t, err)
	assertOurs(t, image, elf.EM_X86_64)
	assert.Equal(t, "amd64", image.Architecture)
}

// assertOurs asserts the content of our image for an architecture.
func assertOurs(t *testing.T, image imageInfo, machine elf.Machine) {
	t.Helper()
	assert.Equal(t, "65532:65532", image.User)
	assert.Equal(t, []string{"/jupyter-user-webhook"}, image.Entrypoint)
	assert.Equal(t, []string{"serve"}, image.Command)
	labels := maps.Clone(image.Labels)
	// buildah adds this label.
	delete(labels, "io.buildah.version")
	assert.Equal(t, map[string]string{
		"org.opencontainers.image.title":       "jupyter-user-webhook",
		"org.opencontainers.image.description": "One label makes a Pod run as a user, with that user's home",
		"org.opencontainers.image.version":     handoff.Version,
		"org.opencontainers.image.revision":    "",
		"org.opencontainers.image.source":      "https://jupyter-user.io/jupyter-user-webhook",
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}, labels)

	files, err := image.files()
	require.NoError(t, err)
	assert.Equal(t, []string{"jupyter-user-init", "jupyter-user-webhook"}, slices.Sorted(maps.Keys(files)))
	size := 0
	for name, file := range files {
		assert.Equal(t, fs.FileMode(0o755), file.Mode, name)
		assertStatic(t, name, file.Content, machine)
		t.Logf("%s: %d bytes", name, len(file.Content))
		size += len(file.Content)
	}
	assert.Less(t, size, 40<<20, "unpacked, as it lies on each node")
	assert.Less(t, len(files["jupyter-user-init"].Content), 4<<20, "it is copied into every notebook's pod")
}

// assertStatic asserts that a program needs no interpreter and no library, because the image has none.
func assertStatic(t *testing.T, name string, program []byte, machine elf.Machine) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(program))
	require.NoError(t, err, name)
	assert.Equal(t, machine, file.Machine, name)
	for _, segment := range file.Progs {
		assert.NotContains(t, []elf.ProgType{elf.PT_INTERP, elf.PT_DYNAMIC}, segment.Type, name)
	}
}

// buildAgain builds our image even if the cache has it.
func buildAgain(t *testing.T, arguments ...string) imageInfo {
	t.Helper()
	b, err := newBuilder(os.Stderr)
	require.NoError(t, err)
	files, err := b.sources()
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, b.buildWebhook(t.Context(), folder, []string{Webhook}, files, arguments...))
	image, err := inspect(filepath.Join(folder, "webhook.tar"), Webhook)
	require.NoError(t, err)
	return image
}

// TestOurImageForARM builds our image for another architecture than this machine's. The image cannot run here, so the test only
// inspects it.
func TestOurImageForARM(t *testing.T) {
	if os.Getenv("RELEASE_CHECK") == "" {
		t.Skip("left out: everything is compiled for another architecture, which takes minutes once. Run it with make release-check")
	}
	buildArchives(t)
	image := buildAgain(t, "--platform=linux/arm64")
	assert.Equal(t, "arm64", image.Architecture)
	assertOurs(t, image, elf.EM_AARCH64)
}

// TestOurImageHasOneDigest tests that two builds give the same digest. A registry would show this digest.
func TestOurImageHasOneDigest(t *testing.T) {
	image, err := inspect(buildArchives(t).Webhook, Webhook)
	require.NoError(t, err)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, image.Digest)
	assert.Equal(t, image.Digest, buildAgain(t).Digest)
}

func TestOurImageIsReproducible(t *testing.T) {
	image, err := inspect(buildArchives(t).Webhook, Webhook)
	require.NoError(t, err)
	files, err := image.files()
	require.NoError(t, err)
	out := buildAsTheDockerfileSays(t)
	for name, file := range files {
		outside, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(outside, file.Content), "%s is another program when it is built elsewhere", name)
	}
}

var goBuild = regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 GOOS=.* go build .* -o )/out/( .*)$`)

// buildAsTheDockerfileSays runs the go build of the Dockerfile in a copy of the sources, in another folder than the image's
// build. It returns the folder with the programs.
func buildAsTheDockerfileSays(t *testing.T) (out string) {
	t.Helper()
	b, err := newBuilder(nil)
	require.NoError(t, err)
	files, err := b.sources()
	require.NoError(t, err)
	source, out := filepath.Join(t.TempDir(), "some", "where", "else"), t.TempDir()
	require.NoError(t, copyFiles(b.project, source, files))

	dockerfile, err := os.ReadFile(filepath.Join(b.project, "Dockerfile"))
	require.NoError(t, err)
	line := goBuild.FindStringSubmatch(string(dockerfile))
	require.NotNil(t, line, "the Dockerfile builds in another way than this test knows")
	version := regexp.MustCompile(`(?m)^ARG VERSION=(.*)$`).FindStringSubmatch(string(dockerfile))
	require.NotNil(t, version)

	build := exec.CommandContext(t.Context(), "sh", "-c", line[1]+out+"/"+line[2])
	build.Dir = source
	build.Env = append(os.Environ(), "VERSION="+version[1], "REVISION=", "TARGETOS=linux", "TARGETARCH=amd64")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	return out
}

func TestNotebooksStartLikeTheOnesTheyStandFor(t *testing.T) {
	archive := buildArchives(t).Notebooks
	for name, want := range map[string]imageInfo{
		DockerStacks: {
			User: "1000", Entrypoint: []string{"tini", "-g", "--", "start.sh"}, Command: []string{"start-notebook.py"},
			WorkingDir: "/home/jovyan",
		},
		DockerStacks2023: {
			User: "1000", Entrypoint: []string{"tini", "-g", "--"}, Command: []string{"start-notebook.sh"},
			WorkingDir: "/home/jovyan",
		},
		DockerStacksLate2023: {
			User: "1000", Entrypoint: []string{"tini", "-g", "--"}, Command: []string{"start-notebook.py"},
			WorkingDir: "/home/jovyan",
		},
		DockerStacksFoundation: {
			User: "1000", Entrypoint: []string{"tini", "-g", "--", "start.sh"}, WorkingDir: "/home/jovyan",
		},
		DockerStacksChild: {
			User: "1000", Entrypoint: []string{"tini", "-g", "--", "start.sh"}, Command: []string{"jupyter", "lab"},
			WorkingDir: "/home/jovyan",
		},
		Repo2docker: {
			User: "jovyan", Entrypoint: []string{"/usr/local/bin/repo2docker-entrypoint"},
			Command: []string{"jupyter", "lab", "--ip", "0.0.0.0"}, WorkingDir: "/srv/repo",
		},
		Entrypoint: {
			User: "jovyan", Entrypoint: []string{"tini", "--", "docker-entrypoint.sh"}, Command: []string{"jupyter", "lab"},
			WorkingDir: "/home/jovyan",
		},
		Z2JH: {
			User: "jovyan", Entrypoint: []string{"tini", "--"}, Command: []string{"jupyter", "lab"}, WorkingDir: "/home/jovyan",
		},
		Plain:   {Command: []string{"true"}},
		Hostile: {User: "5001:6001", Command: []string{"hello"}},
		Pause:   {User: "65535:65535", Entrypoint: []string{"/pause"}},
	} {
		t.Run(name, func(t *testing.T) {
			image, err := inspect(archive, name)
			require.NoError(t, err)
			image.Env, image.Labels, image.layers = nil, nil, nil
			image.Architecture, image.Digest = "", ""
			assert.Equal(t, want, image)
		})
	}
}

func TestOneLayerIsSharedByAll(t *testing.T) {
	archive := buildArchives(t).Notebooks
	stacks, err := inspect(archive, DockerStacks)
	require.NoError(t, err)
	z2jh, err := inspect(archive, Z2JH)
	require.NoError(t, err)
	plain, err := inspect(archive, Plain)
	require.NoError(t, err)
	require.Len(t, stacks.layers, 3)
	assert.True(t, bytes.Equal(stacks.layers[0], plain.layers[0]), "Debian")
	assert.True(t, bytes.Equal(stacks.layers[1], z2jh.layers[1]), "JupyterLab")
}

// fakeProject makes a small project with a Dockerfile.
func fakeProject(t *testing.T, files map[string]string) builder {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return builder{project: folder}
}

func TestOnlyWhatDockerignoreLetsThroughDecides(t *testing.T) {
	b := fakeProject(t, map[string]string{
		".dockerignore": "*\n!go.mod\n!cmd\n**/*_test.go\n**/testdata\n",
		"go.mod":        "", "README.md": "", "cmd/main.go": "", "cmd/main_test.go": "", "cmd/testdata/x.go": "", "other/x.go": "",
	})
	files, err := b.sources()
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"go.mod", "cmd/main.go"}, files)

	b = fakeProject(t, map[string]string{".dockerignore": "*\n!go.mod\ncmd/*.go\n", "go.mod": ""})
	_, err = b.sources()
	require.ErrorContains(t, err, `teach test/e2e/images/webhook.go the line "cmd/*.go"`)
}

func TestTheProjectsOwnDockerignoreIsUnderstood(t *testing.T) {
	b, err := newBuilder(nil)
	require.NoError(t, err)
	files, err := b.sources()
	require.NoError(t, err)
	assert.Contains(t, files, "cmd/jupyter-user-init/main.go")
	for _, file := range files {
		assert.False(t, strings.HasSuffix(file, "_test.go"), file)
	}
}

func TestKeyChangesWithContentAndModeOfEveryFile(t *testing.T) {
	b := fakeProject(t, map[string]string{"a": "one", "b/c": "two"})
	key := func() string {
		files, err := filesIn(b.project, ".")
		require.NoError(t, err)
		text, err := listed("image", b.project, files...)
		require.NoError(t, err)
		return text
	}
	first := key()
	assert.Equal(t, first, key())
	require.NoError(t, os.WriteFile(filepath.Join(b.project, "b", "c"), []byte("three"), 0o644))
	second := key()
	assert.NotEqual(t, first, second)
	require.NoError(t, os.Chmod(filepath.Join(b.project, "a"), 0o755))
	assert.NotEqual(t, second, key())
}

func TestMissingProgramsSayWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	require.ErrorContains(t, need("debootstrap"), "run test/e2e/install")
	require.ErrorContains(t, run(isolated(t.Context(), "true")), "run test/e2e/install")
}

func TestFailureShowsWhatWasSaid(t *testing.T) {
	err := run(exec.CommandContext(t.Context(), "sh", "-c", "echo first; echo second >&2; exit 3"))
	require.ErrorContains(t, err, "exit status 3; it said:\nfirst\nsecond")
}
