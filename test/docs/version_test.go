package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// TestCurrentVersion tests that the version in webhook/handoff/version.go is also the version of the programs, the
// Dockerfile, the chart, the images in the YAML files below deploy/, the default image of the init container, and the
// newest release in CHANGELOG.md.
func TestCurrentVersion(t *testing.T) {
	version := handoff.Version
	require.Regexp(t, `^v\d+\.\d+\.\d+$`, version)
	assert.Equal(t, "jupyter-user-webhook:"+version, config.Default().Init.Image)

	output, err := exec.Command("make", "-C", root, "--no-print-directory", "-n", "build").CombinedOutput()
	require.NoError(t, err, "%s", output)
	assert.Contains(t, string(output), "-X main.version="+version+"'", "both programs")

	arguments := regexp.MustCompile(`(?m)^ARG VERSION=(.*)$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1)
	require.Len(t, arguments, 2)
	for _, argument := range arguments {
		assert.Equal(t, version, argument[1], "the Dockerfile's default")
	}
	newest := regexp.MustCompile(`(?m)^## \[(\d\S*)\]`).FindStringSubmatch(read(t, "CHANGELOG.md"))
	require.NotNil(t, newest)
	assert.Equal(t, version, "v"+newest[1], "the CHANGELOG")
	deployed := 0
	for file, text := range deployments(t) {
		for _, found := range regexp.MustCompile(`jupyter-user-webhook:(v\d[^\s"]*)`).FindAllStringSubmatch(text, -1) {
			assert.Equal(t, version, found[1], file)
			deployed++
		}
		if filepath.Base(file) == "Chart.yaml" {
			assert.Regexp(t, `(?m)^appVersion: "?`+regexp.QuoteMeta(version)+`"?$`, text, file)
			assert.Regexp(t, `(?m)^version: "?`+regexp.QuoteMeta(strings.TrimPrefix(version, "v"))+`"?$`, text, file)
		}
	}
	assert.Positive(t, deployed)
}

// TestReleasesAreBuiltWithTheGoOfTheDockerfile tests that the page for maintainers selects the version of Go with which the
// Dockerfile builds, because another version would build programs with other bytes, and that .ci/run and SECURITY.md name this version.
func TestReleasesAreBuiltWithTheGoOfTheDockerfile(t *testing.T) {
	builder := regexp.MustCompile(`(?m)^ARG BUILDER=\S*/golang:(\S+)$`).FindStringSubmatch(read(t, "Dockerfile"))
	require.NotNil(t, builder)
	assert.Contains(t, read(t, "deploy/docs/releases.md"), "export GOTOOLCHAIN=go"+builder[1]+"\n")
	assert.Contains(t, read(t, ".ci/run"), "version=v0.0.1-go"+builder[1]+".linux-amd64")
	assert.Contains(t, read(t, "SECURITY.md"), "`golang:"+builder[1]+"`")
}

// versioned matches a version of this project in a page: in the name of an image or of a release's file, in the output of a
// program, or in the command that makes a tag.
var versioned = regexp.MustCompile(`(?:jupyter-user-(?:webhook|init)[:_ -]|git tag -s )(v\d+\.\d+\.\d+)`)

// TestPagesHaveTheVersion tests that all versions of this project in the pages are the version of this release.
// CHANGELOG.md may have older versions, and so may lines that begin with "#-": they are examples in the page on the
// configuration.
func TestPagesHaveTheVersion(t *testing.T) {
	pages := map[string]bool{}
	for _, document := range documents(t) {
		if document == "CHANGELOG.md" {
			continue
		}
		for line := range strings.Lines(read(t, document)) {
			for _, found := range versioned.FindAllStringSubmatch(line, -1) {
				if !strings.HasPrefix(strings.TrimSpace(line), "#-") {
					assert.Equal(t, handoff.Version, found[1], "%s: %s", document, line)
					pages[document] = true
				}
			}
		}
	}
	for _, page := range []string{"README.md", "README.zh-CN.md", "deploy/docs/install.md", "deploy/docs/runbook.md", "deploy/docs/releases.md"} {
		assert.True(t, pages[page], "%s has no version", page)
	}
}

// deployments returns the text of each YAML file below deploy/, by path.
func deployments(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	folder := filepath.Join(root, "deploy")
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = string(data)
		return err
	}))
	return found
}
