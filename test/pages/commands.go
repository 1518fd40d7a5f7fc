package pages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// A Command is a command line that a page tells the reader to type, with its continued lines, its pipes and its
// here-document. The function YAML uses a Command for a YAML block.
type Command struct {
	// Page is the path of the page from the root of the repository.
	Page string
	// Text is a command line without comments and without the indentation of its fenced block, or a YAML block as the page
	// has it.
	Text string
}

// Line returns the command as one line, with single spaces.
func (c Command) Line() string {
	return strings.Join(strings.Fields(strings.ReplaceAll(c.Text, "\\\n", " ")), " ")
}

// pagePaths returns the paths of all pages, from the root of the repository.
func pagePaths(t testing.TB) (found []string) {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	for _, pattern := range []string{"README*.md", "deploy/docs/*.md", "test/README.md", "test/bench/README.md"} {
		matches, err := fs.Glob(os.DirFS(folder), pattern)
		require.NoError(t, err)
		found = append(found, matches...)
	}
	require.Greater(t, len(found), 15)
	return found
}

var (
	// fencedBlock matches a fenced block of any language. The block can be indented, as in a list.
	fencedBlock = regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)^ *```$")
	// quoted matches text between backticks. In a table, this text has \| for a pipe.
	quoted = regexp.MustCompile("`([^`]+)`")
	// commandLine matches the beginning of a command line between backticks. With kubectl and most other programs, a
	// command line has at least three words: two words, such as kubectl exec, only name a command. With make,
	// jupyter-user-webhook, curl, id and go, two words are enough.
	commandLine = regexp.MustCompile(`^(?:(?:kubectl|helm|docker|skopeo|minikube|kind|git|go|openssl|getent|cmctl|curl|sha256sum|gpg|cp|id) \S+ \S|` +
		`(?:make|jupyter-user-webhook|curl|id|go) \S)`)
	assigned = regexp.MustCompile(`^\w+=\$\([^&]*\)\n`)
	comment  = regexp.MustCompile(`(?m)(?:^|[ \t]+)#[ \t].*$`)
)

// Commands returns every command line of the pages. A command line that several pages have is returned once, with the first
// page.
func Commands(t testing.TB) (found []Command) {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	known := map[string]bool{}
	for _, page := range pagePaths(t) {
		text, err := os.ReadFile(filepath.Join(folder, page))
		require.NoError(t, err)
		for _, c := range CommandsOf(page, string(text)) {
			if !known[c.Line()] {
				known[c.Line()] = true
				found = append(found, c)
			}
		}
	}
	return found
}

// YAML returns the YAML blocks of the pages, each as the Text of a Command.
func YAML(t testing.TB) (found []Command) {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	for _, page := range pagePaths(t) {
		text, err := os.ReadFile(filepath.Join(folder, page))
		require.NoError(t, err)
		for _, block := range fencedBlock.FindAllStringSubmatch(string(text), -1) {
			if block[2] == "yaml" {
				found = append(found, Command{page, block[3]})
			}
		}
	}
	return found
}

// CommandsOf returns the command lines of a page: first those in blocks of type sh, and then those between backticks.
func CommandsOf(page, text string) (found []Command) {
	for _, block := range fencedBlock.FindAllStringSubmatch(text, -1) {
		if block[2] != "sh" {
			continue
		}
		var whole string
		for line := range strings.Lines(block[3]) {
			whole += comment.ReplaceAllString(strings.TrimPrefix(line, block[1]), "")
			if complete(whole) {
				if strings.TrimSpace(whole) != "" {
					found = append(found, Command{page, strings.TrimSpace(whole)})
				}
				whole = ""
			}
		}
	}
	for _, match := range quoted.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		line := strings.ReplaceAll(strings.Join(strings.Fields(match[1]), " "), `\|`, "|")
		if commandLine.MatchString(line) {
			found = append(found, Command{page, line})
		}
	}
	return found
}

// complete reports whether the lines are a whole command line, so that the next line begins another one.
func complete(lines string) bool {
	end := strings.TrimRight(lines, " \n")
	switch {
	case strings.HasSuffix(end, `\`), strings.HasSuffix(end, "|"), strings.Count(lines, "'")%2 == 1, strings.Count(lines, `"`)%2 == 1:
		return false
	case strings.Contains(lines, "<<EOT"):
		return strings.HasSuffix(end, "\nEOT")
	case strings.HasPrefix(lines, "for "), assigned.MatchString(lines):
		return strings.HasSuffix(end, "\ndone") // A line that sets a variable belongs to the loop after it.
	}
	return true
}

// A Section is a section of commands.txt or messages.txt. In commands.txt, Name begins with the test, or a function of a
// test, that runs or compares the commands in Lines. In messages.txt, Name is the file that has the messages in Lines. In
// both, Name can instead be the reason why no test has the lines.
type Section struct {
	Name  string
	Lines []string
}

// Sections returns the sections of commands.txt or of messages.txt.
func Sections(t testing.TB, list string) (found []Section) {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(folder, "test", "pages", list))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch entry, indented := strings.CutPrefix(line, "\t"); {
		case strings.HasPrefix(line, "#"), line == "":
		case indented:
			require.NotEmpty(t, found, "a command before the first section")
			last := &found[len(found)-1]
			last.Lines = append(last.Lines, entry)
		default:
			found = append(found, Section{Name: line})
		}
	}
	return found
}

// Matches reports whether an entry of commands.txt equals the command's Line. If the entry ends with "…", only the
// beginning must be equal.
func (c Command) Matches(entry string) bool {
	if begin, open := strings.CutSuffix(entry, "…"); open {
		return strings.HasPrefix(c.Line(), begin)
	}
	return c.Line() == entry
}

// CommandsIn returns the commands in each section whose Name has the given first word, in the order of commands.txt.
func CommandsIn(t testing.TB, firstWord string) (found []Command) {
	t.Helper()
	all := Commands(t)
	for _, section := range Sections(t, "commands.txt") {
		if strings.Fields(section.Name)[0] != firstWord {
			continue
		}
		for _, entry := range section.Lines {
			before := len(found)
			for _, c := range all {
				if c.Matches(entry) {
					found = append(found, c)
				}
			}
			require.Greater(t, len(found), before, "no page has the command %s", entry)
		}
	}
	require.NotEmpty(t, found, "commands.txt has no command for %s", firstWord)
	return found
}
