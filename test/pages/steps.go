// Package pages reads commands, steps, YAML and messages from the pages: README.md and README.zh-CN.md, deploy/docs,
// test/README.md and test/bench/README.md. So tests run and compare exactly what the pages say.
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

// A Step is a numbered step of a page: its commands and its YAML file.
type Step struct{ Shell, YAML string }

// Fields returns the arguments of the step's command, without the program. The command must have no quotes. The strings of
// the parameter "changes" are pairs: a text of the command, and the text that replaces it.
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

// Steps returns the steps of a page in deploy/docs, by number. The first number is 1, and each step must have a command.
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
		// A step ends at the next step. No step follows the last one, so a heading ends it.
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
