package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pageCommand is a command line of this program in a page: in a line of a fenced block, behind a pipe too, or between backticks.
var pageCommand = regexp.MustCompile("(?m)(?:^ *|`|\\| |-- /)(?:go run \\./cmd/)?(?:bin/)?jupyter-user-webhook( [a-z-]+(?: [^`|#\n]*)?)")

// TestPagesCommandLines: each command line of the program in a page has a command, flags and arguments that the program takes.
func TestPagesCommandLines(t *testing.T) {
	found := map[string]int{}
	for _, page := range pageFiles(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		joined := strings.ReplaceAll(string(text), "\\\n", " ")
		for _, match := range pageCommand.FindAllStringSubmatch(joined, -1) {
			args := strings.Fields(strings.TrimRight(match[1], " …"))
			command, rest, err := rootCommand().Find(args)
			if !assert.NoError(t, err, "%s: %s", page, match[0]) || !assert.NotEqual(t, rootCommand().Name(), command.Name(), match[0]) {
				continue
			}
			found[command.Name()]++
			command.InitDefaultHelpFlag()
			if err := command.ParseFlags(rest); assert.NoError(t, err, "%s: %s", page, match[0]) {
				assert.NoError(t, command.ValidateArgs(command.Flags().Args()), "%s: %s", page, match[0])
			}
		}
	}
	for _, name := range []string{"inject", "check", "access", "ldap", "homes"} {
		assert.Positive(t, found[name], name)
	}
}

// pageFiles returns the Markdown files for readers.
func pageFiles(t *testing.T) (found []string) {
	t.Helper()
	for _, pattern := range []string{"README*.md", "deploy/docs/*.md", "test/README.md", "test/bench/README.md"} {
		matches, err := fs.Glob(os.DirFS("../.."), pattern)
		require.NoError(t, err)
		for _, match := range matches {
			found = append(found, filepath.Join("../..", match))
		}
	}
	require.Greater(t, len(found), 15)
	return found
}
