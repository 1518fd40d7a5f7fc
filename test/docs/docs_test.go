// Package docs holds the documents against what they speak of.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// included is a file shown in a document: <!-- file: path --> and the fence behind it, or a Markdown file as it is, up to a comment
// that ends it.
var included = regexp.MustCompile("(?s)(<!-- file: (\\S+) -->\n(?:```[a-z]*\n)?)(.*?)(```\n|<!-- end of file -->\n)")

// TestCurrent: what the README shows is what the tests prove. UPDATE_GOLDEN=1 writes it anew.
func TestCurrentInclusions(t *testing.T) {
	readme := read(t, "README.md")
	shown := included.ReplaceAllStringFunc(readme, func(block string) string {
		parts := included.FindStringSubmatch(block)
		return parts[1] + withoutHead(read(t, parts[2])) + parts[4]
	})
	require.Contains(t, readme, "<!-- file: ")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(filepath.Join(root, "README.md"), []byte(shown), 0o644))
		return
	}
	assert.Empty(t, udiff.Unified("README.md", "what it includes", readme, shown), "UPDATE_GOLDEN=1 go test ./test/docs writes it anew")
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

// TestCurrentReasons: each reason that a person can meet is explained, with its status, and none that does not exist.
func TestCurrentReasons(t *testing.T) {
	readme := read(t, "README.md")
	_, section, _ := strings.Cut(readme, "## When a Pod is refused")
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[string]bool{}
	for _, name := range regexp.MustCompile("`([A-Z][a-z]+[A-Z]\\w+)`").FindAllStringSubmatch(section, -1) {
		explained[name[1]] = true
	}
	delete(explained, "AtAdmission")
	spelled := map[string]bool{}
	for _, match := range reason.FindAllStringSubmatch(read(t, "webhook/denial/sentences.go"), -1) {
		spelled[match[1]+match[2]] = true
	}
	for name := range explained {
		assert.Contains(t, spelled, name, "explained, but no such reason")
	}
	for name := range spelled {
		assert.True(t, explained[name] || strings.Contains(section, "`"+name+"`"), "the reason %s is not explained", name)
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
