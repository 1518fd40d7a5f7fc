// Package docs compares the documents with the code, the chart and the files that they describe.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/aymanbagabas/go-udiff"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/pages"
)

const root = "../.."

// included matches a file that a document shows: the line <!-- file: path --> and the fenced block after that line. A shown
// Markdown file has no fence: it ends at the line <!-- end of file -->.
var included = regexp.MustCompile("(?s)(<!-- file: (\\S+) -->\n(?:```[a-z]*\n)?)(.*?)(```\n|<!-- end of file -->\n)")

// includedTable matches a table of a doc comment that a document shows: <!-- table: path --> and the fenced block after it.
var includedTable = regexp.MustCompile("(?s)(<!-- table: (\\S+) -->\n```text\n).*?(```\n)")

// commentTable returns the lines of a Go file's doc comments that are indented with a tab.
func commentTable(source string) string {
	var table strings.Builder
	for line := range strings.Lines(source) {
		if row, found := strings.CutPrefix(line, "//\t"); found {
			table.WriteString(row)
		}
	}
	return table.String()
}

// TestCurrentInclusions tests that the files and tables that a document shows are equal to their sources. UPDATE_GOLDEN=1
// writes them into the document.
func TestCurrentInclusions(t *testing.T) {
	for _, document := range documents(t) {
		text := read(t, document)
		shown := included.ReplaceAllStringFunc(text, func(block string) string {
			parts := included.FindStringSubmatch(block)
			return parts[1] + withoutHead(read(t, parts[2])) + parts[4]
		})
		shown = includedTable.ReplaceAllStringFunc(shown, func(block string) string {
			parts := includedTable.FindStringSubmatch(block)
			return parts[1] + commentTable(read(t, parts[2])) + parts[3]
		})
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.WriteFile(filepath.Join(root, document), []byte(shown), 0o644))
			continue
		}
		assert.Empty(t, udiff.Unified(document, "with the present sources", text, shown), "UPDATE_GOLDEN=1 go test ./test/docs writes it")
	}
}

// excerpt matches a part of a file that a document shows. A line with … alone means that lines are left out.
var excerpt = regexp.MustCompile("(?s)<!-- excerpt: (\\S+) -->\n```[a-z]*\n(.*?)```\n")

// TestExcerpts tests that each line of an excerpt is in its file, in the same order.
func TestExcerpts(t *testing.T) {
	found := 0
	for _, document := range documents(t) {
		for _, match := range excerpt.FindAllStringSubmatch(read(t, document), -1) {
			found++
			rest := "\n" + read(t, match[1])
			for line := range strings.Lines(match[2]) {
				if strings.TrimSpace(line) == "…" {
					continue
				}
				_, after, ok := strings.Cut(rest, "\n"+line)
				require.True(t, ok, "%s shows a line that %s does not have at that place: %s", document, match[1], line)
				rest = "\n" + after
			}
		}
	}
	assert.NotZero(t, found)
}

// frontPageLines is the largest number of lines of README.md, about two screens.
const frontPageLines = 150

var (
	// fenced matches a fenced block, for example of commands or of YAML.
	fenced = regexp.MustCompile("(?sm)^ *```[a-z]*\n.*?^ *```$")
	// tableRow matches a row of a table. unchangedParts matches the parts of a row that a translation does not change: code
	// and link targets.
	tableRow       = regexp.MustCompile(`(?m)^\|.*$`)
	unchangedParts = regexp.MustCompile("`[^`]+`|\\]\\([^)]+\\)")
)

// TestFrontPages tests that README.md is short, and that README.zh-CN.md has the same commands, the same blocks, and the
// same code and links in its tables.
func TestFrontPages(t *testing.T) {
	english, chinese := read(t, "README.md"), read(t, "README.zh-CN.md")
	assert.LessOrEqual(t, strings.Count(english, "\n"), frontPageLines)
	_, hub, _ := strings.Cut(english, "\n## JupyterHub\n")
	hub, _, _ = strings.Cut(hub, "\n## ")
	assert.Len(t, regexp.MustCompile("(?m)^[^\n`].*$").FindAllString(hub, -1), 6, "JupyterHub in six lines")
	assert.Equal(t, untranslated(english), untranslated(chinese))
	commands := func(page string) (lines []string) {
		for _, c := range pages.CommandsOf(page, read(t, page)) {
			lines = append(lines, c.Line())
		}
		slices.Sort(lines)
		return slices.Compact(lines)
	}
	require.NotEmpty(t, commands("README.md"))
	assert.Equal(t, commands("README.md"), commands("README.zh-CN.md"))
}

// trailingComment matches a comment at the end of a line of code.
var trailingComment = regexp.MustCompile(` +# .*`)

// untranslated returns the parts of a page that its translation must have too: the text of the fenced blocks, except
// comments at the ends of lines, and the code and link targets in its tables.
func untranslated(page string) (found []string) {
	for _, block := range fenced.FindAllString(page, -1) {
		found = append(found, trailingComment.ReplaceAllString(block, ""))
	}
	for _, row := range tableRow.FindAllString(page, -1) {
		found = append(found, strings.Join(unchangedParts.FindAllString(row, -1), " "))
	}
	return found
}

// TestInstallIsOneCommand tests that README.md and deploy/docs/install.md have the same helm install command.
func TestInstallIsOneCommand(t *testing.T) {
	command := func(document string) string {
		_, rest, found := strings.Cut(read(t, document), "helm install ")
		require.True(t, found, document)
		rest, _, _ = strings.Cut(rest, "```")
		return strings.Join(strings.Fields(rest), " ")
	}
	assert.Equal(t, command("deploy/docs/install.md"), command("README.md"))
}

// withoutHead removes the comments "# identity: …" and "# namespace: …" from the top of a golden input. They are settings
// of the golden test, and a document does not show them.
func withoutHead(text string) string {
	for strings.HasPrefix(text, "# identity: ") || strings.HasPrefix(text, "# namespace: ") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// reasonInSource matches a call or a field, in the sources of package denial, that sets the reason of a denial.
var reasonInSource = regexp.MustCompile(`(?:malformed|forbidden|unprocessable|unavailable)\("(\w+)"|Reason: "(\w+)"`)

// TestCurrentReasons tests that deploy/docs/denials.md explains each reason of package denial, and no other reason.
func TestCurrentReasons(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "deploy/docs/denials.md"), "## When the webhook denies a Pod")
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[string]bool{}
	for _, name := range regexp.MustCompile("`([A-Z][a-z]+[A-Z]\\w+)`").FindAllStringSubmatch(section, -1) {
		explained[name[1]] = true
	}
	delete(explained, "AtAdmission")
	inSources := map[string]bool{}
	sources, err := filepath.Glob(filepath.Join(root, "webhook/denial/*.go"))
	require.NoError(t, err)
	for _, file := range sources {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range reasonInSource.FindAllStringSubmatch(string(text), -1) {
			inSources[match[1]+match[2]] = true
		}
	}
	require.NotEmpty(t, inSources)
	for name := range explained {
		assert.Contains(t, inSources, name, "the page explains a reason that does not exist")
	}
	for name := range inSources {
		assert.True(t, explained[name] || strings.Contains(section, "`"+name+"`"), "the reason %s is not explained", name)
	}
}

// TestSourceIsListed tests that deploy/docs/source.md lists every package of webhook/ and certs/, and that every listed
// path exists.
func TestSourceIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^([a-z][a-z0-9/.-]*) {2,}`).FindAllStringSubmatch(read(t, "deploy/docs/source.md"), -1) {
		listed[match[1]] = true
		_, err := os.Stat(filepath.Join(root, match[1]))
		assert.NoError(t, err)
	}
	for _, top := range []string{"webhook", "certs"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, top), func(path string, entry os.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
				folder, _ := filepath.Rel(root, filepath.Dir(path))
				assert.True(t, listed[folder], "%s is not listed", folder)
			}
			return err
		}))
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestLinks tests that every link to a file or heading of the project has a target. Links to other sites are not checked,
// so the test needs no network.
func TestLinks(t *testing.T) {
	for _, document := range documents(t) {
		text := read(t, document)
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := filepath.Join(filepath.Dir(document), target)
			if target == "" {
				path = document
			}
			_, err := os.Stat(filepath.Join(root, path))
			assert.NoError(t, err, "%s links to %s", document, match[1])
			if anchor != "" && err == nil {
				assert.Contains(t, anchors(read(t, path)), anchor, "%s links to %s", document, match[1])
			}
		}
	}
}

// anchors returns the anchors of the headings, as GitHub makes them: lower case, with hyphens for spaces, and without
// punctuation.
func anchors(text string) (found []string) {
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		slug := strings.ToLower(strings.ReplaceAll(strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" -_", r) {
				return r
			}
			return -1
		}, match[1]), " ", "-"))
		found = append(found, slug)
	}
	return found
}

// documents returns the paths of the Markdown files of the project. It leaves out folders whose name begins with a dot.
func documents(t *testing.T) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			relative, err := filepath.Rel(root, path)
			found = append(found, relative)
			return err
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(data)
}
