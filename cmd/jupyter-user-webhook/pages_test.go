package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/test/pages"
)

// ours matches a command line of this program, also after a pipe or after kubectl exec.
var ours = regexp.MustCompile(`(?:^|\| |-- /)(?:go run \./cmd/)?jupyter-user-webhook ([^|]+)`)

// TestPagesCommandLines tests the command lines of the program in the documentation: the program accepts the command, the
// flags and the arguments.
func TestPagesCommandLines(t *testing.T) {
	found := map[string]int{}
	for _, line := range pages.Commands(t) {
		match := ours.FindStringSubmatch(line.Line())
		if match == nil {
			continue
		}
		command, rest, err := rootCommand().Find(strings.Fields(match[1]))
		if !assert.NoError(t, err, "%s: %s", line.Page, line.Text) || !assert.NotEqual(t, rootCommand().Name(), command.Name(), line.Text) {
			continue
		}
		found[command.Name()]++
		command.InitDefaultHelpFlag()
		if assert.NoError(t, command.ParseFlags(rest), "%s: %s", line.Page, line.Text) {
			assert.NoError(t, command.ValidateArgs(command.Flags().Args()), "%s: %s", line.Page, line.Text)
		}
	}
	for _, name := range []string{"serve", "inject", "check", "access", "ldap", "homes"} {
		assert.Positive(t, found[name], name)
	}
}
