// Package docs holds the documents against what they speak of.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/pages"
)

const root = "../.."

// included is a file shown in a document: <!-- file: path --> and the fence behind it, or a Markdown file as it is, up to a comment
// that ends it.
var included = regexp.MustCompile("(?s)(<!-- file: (\\S+) -->\n(?:```[a-z]*\n)?)(.*?)(```\n|<!-- end of file -->\n)")

// tabled is the table of a doc comment shown in a document: <!-- table: path --> and the fence behind it.
var tabled = regexp.MustCompile("(?s)(<!-- table: (\\S+) -->\n```text\n).*?(```\n)")

// commentTable returns the indented lines of a doc comment.
func commentTable(source string) string {
	var table strings.Builder
	for line := range strings.Lines(source) {
		if row, found := strings.CutPrefix(line, "//\t"); found {
			table.WriteString(row)
		}
	}
	return table.String()
}

// TestCurrentInclusions: what a document shows is what the tests prove. UPDATE_GOLDEN=1 writes it again.
func TestCurrentInclusions(t *testing.T) {
	for _, document := range documents(t) {
		text := read(t, document)
		shown := included.ReplaceAllStringFunc(text, func(block string) string {
			parts := included.FindStringSubmatch(block)
			return parts[1] + withoutHead(read(t, parts[2])) + parts[4]
		})
		shown = tabled.ReplaceAllStringFunc(shown, func(block string) string {
			parts := tabled.FindStringSubmatch(block)
			return parts[1] + commentTable(read(t, parts[2])) + parts[3]
		})
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.WriteFile(filepath.Join(root, document), []byte(shown), 0o644))
			continue
		}
		assert.Empty(t, udiff.Unified(document, "what it includes", text, shown), "UPDATE_GOLDEN=1 go test ./test/docs writes it again")
	}
}

// excerpt is a part of a file shown in a document, where a line … stands for those left out.
var excerpt = regexp.MustCompile("(?s)<!-- excerpt: (\\S+) -->\n```[a-z]*\n(.*?)```\n")

// TestExcerpts: each line of an excerpt is in its file, in the same order.
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
				require.True(t, ok, "%s shows a line that %s does not have there: %s", document, match[1], line)
				rest = "\n" + after
			}
		}
	}
	assert.NotZero(t, found)
}

// frontPageLines is what two screens show.
const frontPageLines = 150

var (
	// fenced is a block of commands or of YAML.
	fenced = regexp.MustCompile("(?sm)^ *```[a-z]*\n.*?^ *```$")
	// tableRow is a row of a table, and kept what a translation does not change there: code and the targets of links.
	tableRow = regexp.MustCompile(`(?m)^\|.*$`)
	kept     = regexp.MustCompile("`[^`]+`|\\]\\([^)]+\\)")
)

// TestFrontPages: the first page is short, and the Chinese one has the same commands, the same blocks, and the same code and links in its
// tables.
func TestFrontPages(t *testing.T) {
	english, chinese := read(t, "README.md"), read(t, "README.zh-CN.md")
	assert.LessOrEqual(t, strings.Count(english, "\n"), frontPageLines)
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

// comment is the end of a line that says what a command does.
var comment = regexp.MustCompile(` +# .*`)

// untranslated returns the blocks of a page, without their comments, and what stays of each row of its tables.
func untranslated(page string) (found []string) {
	for _, block := range fenced.FindAllString(page, -1) {
		found = append(found, comment.ReplaceAllString(block, ""))
	}
	for _, row := range tableRow.FindAllString(page, -1) {
		found = append(found, strings.Join(kept.FindAllString(row, -1), " "))
	}
	return found
}

// TestInstallIsOneCommand: the front page and the page on installing have the same command.
func TestInstallIsOneCommand(t *testing.T) {
	command := func(document string) string {
		_, rest, found := strings.Cut(read(t, document), "helm install ")
		require.True(t, found, document)
		rest, _, _ = strings.Cut(rest, "```")
		return strings.Join(strings.Fields(rest), " ")
	}
	assert.Equal(t, command("deploy/docs/install.md"), command("README.md"))
}

// withoutHead drops the comments that tell the golden test what is known besides the pod.
func withoutHead(text string) string {
	for strings.HasPrefix(text, "# identity: ") || strings.HasPrefix(text, "# namespace: ") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// reason is where a reason is spelled in the sentences.
var reason = regexp.MustCompile(`(?:malformed|forbidden|unprocessable)\("(\w+)"|Reason: "(\w+)"`)

// TestCurrentReasons: the page explains each reason of package denial, and no other.
func TestCurrentReasons(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "deploy/docs/denials.md"), "## When the webhook denies a Pod")
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[string]bool{}
	for _, name := range regexp.MustCompile("`([A-Z][a-z]+[A-Z]\\w+)`").FindAllStringSubmatch(section, -1) {
		explained[name[1]] = true
	}
	delete(explained, "AtAdmission")
	spelled := map[string]bool{}
	sources, err := filepath.Glob(filepath.Join(root, "webhook/denial/*.go"))
	require.NoError(t, err)
	for _, file := range sources {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range reason.FindAllStringSubmatch(string(text), -1) {
			spelled[match[1]+match[2]] = true
		}
	}
	require.NotEmpty(t, spelled)
	for name := range explained {
		assert.Contains(t, spelled, name, "explained, but no such reason")
	}
	for name := range spelled {
		assert.True(t, explained[name] || strings.Contains(section, "`"+name+"`"), "the reason %s is not explained", name)
	}
}

// TestSourceIsListed: the page on the source names every package of the product, and nothing that is not there.
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

// TestLinks: every link within the project leads somewhere. Links to other sites are not followed, no network is needed.
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

func anchors(text string) (found []string) {
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		slug := strings.ToLower(strings.ReplaceAll(strings.Map(func(r rune) rune {
			if strings.ContainsRune("`,.:()?!/", r) {
				return -1
			}
			return r
		}, match[1]), " ", "-"))
		found = append(found, slug)
	}
	return found
}

// documents are the Markdown files of the project.
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
