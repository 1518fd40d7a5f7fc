// Package pages reads the steps of a page of deploy/docs, so that tests run what the page has.
package pages

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// A Step has the commands and the file of a step of the page.
type Step struct{ Shell, YAML string }

// Fields returns the command of a step, which has no quotes, without the program itself. Changes are pairs of what the page has and what
// the test has in its place.
func (s Step) Fields(t testing.TB, changes ...string) []string {
	t.Helper()
	command := strings.ReplaceAll(s.Shell, "\\\n", " ")
	for i := 0; i < len(changes); i += 2 {
		require.Contains(t, command, changes[i])
		command = strings.ReplaceAll(command, changes[i], changes[i+1])
	}
	return strings.Fields(command)[1:]
}

var (
	number = regexp.MustCompile(`(?m)^\*\*([0-9]+)\. `)
	block  = regexp.MustCompile("(?ms)^```(sh|yaml)\n(.*?)^```$")
)

// Steps returns the steps of a page by their numbers, which begin with 1. Each has a command.
func Steps(t testing.TB, page string) map[int]Step {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(folder, "deploy", "docs", page))
	require.NoError(t, err)
	steps := map[int]Step{}
	begins := number.FindAllSubmatchIndex(text, -1)
	for i, at := range begins {
		end := len(text)
		if i+1 < len(begins) {
			end = begins[i+1][0]
		}
		// What is behind a heading is of no step.
		if heading := bytes.Index(text[at[0]:end], []byte("\n## ")); heading >= 0 {
			end = at[0] + heading
		}
		var s Step
		for _, found := range block.FindAllSubmatch(text[at[0]:end], -1) {
			if string(found[1]) == "sh" {
				s.Shell += string(found[2])
			} else {
				s.YAML += string(found[2])
			}
		}
		require.NotEmpty(t, s.Shell, "step %s has a command", text[at[2]:at[3]])
		require.Equal(t, fmt.Sprint(i+1), string(text[at[2]:at[3]]))
		steps[i+1] = s
	}
	return steps
}
