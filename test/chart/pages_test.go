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
	"jupyter-user.io/jupyter-user-webhook/test/pages"
)

// helmCommand matches helm install and helm upgrade of the chart.
var helmCommand = regexp.MustCompile(`^helm (?:install|upgrade)(?: --install)? jupyter-user-webhook deploy/chart (.*)`)

// TestPagesValues tests that the chart renders with the values in the helm commands of the pages. It leaves out commands
// with the flag --values.
func TestPagesValues(t *testing.T) {
	t.Parallel()
	h, err := helm.New(t.Context(), t.Output(), t.TempDir())
	require.NoError(t, err)
	chart := filepath.Join("..", "..", "deploy", "chart")
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, []byte(certificate), 0o600))
	rendered := 0
	for _, command := range pages.Commands(t) {
		match := helmCommand.FindStringSubmatch(command.Line())
		if match == nil || strings.Contains(match[1], "--values") {
			// The values are in a file. test/integration renders the chart with the values of directory-services.md, and
			// TestCommandsOfThePages runs the command of install.md.
			continue
		}
		rendered++
		arguments := []string{"template", helm.Release, chart}
		if strings.Contains(match[1], "identity.ldap.") {
			// On the page, the installation before this upgrade has a directory service.
			arguments = append(arguments, "--set", "identity.ldap.users.baseDN=o=example", "--set", "identity.ldap.urls={ldaps://ldap.example.org}",
				"--set-file", "identity.ldap.ca="+ca)
		}
		arguments = append(arguments, words(strings.ReplaceAll(match[1], "ca.crt", ca))...)
		if strings.Contains(match[1], "homes.enabled=true") {
			// On the page, the installation before this upgrade sets identity.passwdConfigMap, and the upgrade keeps this
			// value.
			arguments = append(arguments, "--set", "identity.passwdConfigMap=users")
		}
		_, err := h.Run(t.Context(), "", arguments...)
		assert.NoError(t, err, "%s: %s", command.Page, command.Text)
	}
	assert.Greater(t, rendered, 8)
}

// valuesBlock matches the beginning of a block of chart values.
var valuesBlock = regexp.MustCompile(`^(?:config|access|identity):`)

// TestPagesYAML tests that the chart renders with the blocks of values on the pages: those that begin with config, access
// or identity.
func TestPagesYAML(t *testing.T) {
	t.Parallel()
	h, err := helm.New(t.Context(), t.Output(), t.TempDir())
	require.NoError(t, err)
	rendered := 0
	for _, block := range pages.YAML(t) {
		if !valuesBlock.MatchString(block.Text) {
			continue
		}
		rendered++
		arguments := []string{"--set", "share.nfs.server=nfs.example.com", "--set", "namespaces={lab}"}
		if strings.Contains(block.Text, "  ldap:") {
			arguments = append(arguments, "--set-string", "identity.ldap.ca="+certificate)
		} else {
			arguments = append(arguments, "--set", "identity.passwdConfigMap=users")
		}
		_, err := h.Template(t.Context(), block.Text, arguments...)
		assert.NoError(t, err, "%s: %s", block.Page, block.Text)
	}
	assert.Greater(t, rendered, 5)
}

// words returns the words of a helm command line, for helm template. It leaves out --reset-then-reuse-values,
// --create-namespace, and values that an upgrade removes (=null). It replaces the placeholder of a digest by a digest.
func words(line string) (found []string) {
	digest := "sha256:" + strings.Repeat("0", 64)
	line = strings.NewReplacer(`\\.`, `\.`, "sha256:…", digest, "sha256:<new>", digest).Replace(line)
	line = regexp.MustCompile(`--set \S+=null`).ReplaceAllString(line, "")
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		if word != "--reset-then-reuse-values" && word != "--create-namespace" {
			found = append(found, strings.Trim(word, "'"))
		}
	}
	return found
}
