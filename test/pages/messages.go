package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// notMessage matches the beginning of text between backticks that is no message: a key with its value, flags, or a command.
var notMessage = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z_.-]*(?:/[a-z-]+)?: \S|-{1,2}\w|(?:kubectl|helm|getent|check|inject|chmod|kill) )`)

// Messages returns the messages that the pages have between backticks, each with the pages that have it.
func Messages(t testing.TB) map[string][]string {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	found := map[string][]string{}
	for _, page := range pagePaths(t) {
		text, err := os.ReadFile(filepath.Join(folder, page))
		require.NoError(t, err)
		for _, message := range messagesOf(string(text)) {
			found[message] = append(found[message], page)
		}
	}
	return found
}

// messagesOf returns the messages of a page: each text between backticks that has several words, is no command line and
// does not match notMessage.
func messagesOf(text string) (found []string) {
	for _, match := range quoted.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		line := strings.Join(strings.Fields(match[1]), " ")
		if strings.Contains(line, " ") && !commandLine.MatchString(line) && !notMessage.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// Blocks returns, by page, the line before each fenced block of a type other than sh and yaml. Empty lines before the block
// do not count.
func Blocks(t testing.TB) map[string][]string {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	found := map[string][]string{}
	for _, page := range pagePaths(t) {
		text, err := os.ReadFile(filepath.Join(folder, page))
		require.NoError(t, err)
		for _, at := range fencedBlock.FindAllSubmatchIndex(text, -1) {
			if language := string(text[at[4]:at[5]]); language != "sh" && language != "yaml" {
				before := strings.Split(strings.TrimRight(string(text[:at[0]]), "\n"), "\n")
				found[page] = append(found[page], before[len(before)-1])
			}
		}
	}
	return found
}
