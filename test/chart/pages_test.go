package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
)

// helmCommand is a helm install or upgrade of our chart in a page, with its continued lines.
var helmCommand = regexp.MustCompile(`(?m)helm (?:install|upgrade)(?: --install)? jupyter-user-webhook deploy/chart ((?:.*\\\n)*[^\n` + "`" + `]*)`)

// TestPagesValues: the chart renders with the values that each helm command of a page sets.
func TestPagesValues(t *testing.T) {
	t.Parallel()
	h, err := helm.New(t.Context(), t.Output(), t.TempDir())
	require.NoError(t, err)
	chart := filepath.Join("..", "..", "deploy", "chart")
	pages, err := filepath.Glob("../../deploy/docs/*.md")
	require.NoError(t, err)
	rendered := map[string]bool{}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, match := range helmCommand.FindAllStringSubmatch(string(text), -1) {
			line := strings.Join(words(match[1]), " ")
			if rendered[line] || strings.Contains(line, "--values") {
				continue // The values of the page on directory services have a test of their own, in test/integration.
			}
			rendered[line] = true
			arguments := append([]string{"template", helm.Release, chart}, words(match[1])...)
			if strings.Contains(line, "homes.enabled=true") {
				arguments = append(arguments, "--set", "identity.passwdConfigMap=users") // An upgrade keeps it: the homes' page needs a list of users.
			}
			_, err := h.Run(t.Context(), "", arguments...)
			assert.NoError(t, err, "%s: %s", page, line)
		}
	}
	assert.Greater(t, len(rendered), 8)
}

// words are those of a shell's line, without what only an upgrade takes and what stands for a digest.
func words(line string) (found []string) {
	line, _, _ = strings.Cut(strings.ReplaceAll(line, "\\\n", " "), " #")
	line = strings.NewReplacer(`\\.`, `\.`, "sha256:…", "sha256:"+strings.Repeat("0", 64), "sha256:<new>", "sha256:"+strings.Repeat("0", 64)).Replace(line)
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		if word != "--reset-then-reuse-values" && word != "--create-namespace" {
			found = append(found, strings.Trim(word, "'"))
		}
	}
	return found
}
