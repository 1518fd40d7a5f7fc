package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/test/pages"
)

var (
	// concatenated matches the end of a Go string that the next line continues.
	concatenated = regexp.MustCompile(`" ?\+\n\s*"`)
	// release matches a version. The programs that the tests build have the version "dev" instead.
	release = regexp.MustCompile(`v\d+\.\d+\.\d+`)
)

// TestMessagesAreListed tests that test/pages/messages.txt lists each message that a page has between backticks. Each
// section of the list names a file that has the messages (a test, a golden file or a source), or the reason why no test has
// them.
func TestMessagesAreListed(t *testing.T) {
	messages, held := pages.Messages(t), map[string]bool{}
	for _, section := range pages.Sections(t, "messages.txt") {
		reason, without := strings.CutPrefix(section.Name, "not compared: ")
		text := ""
		if without {
			assert.Greater(t, len(reason), 20)
		} else {
			text = concatenated.ReplaceAllString(read(t, section.Name), "")
		}
		assert.NotEmpty(t, section.Lines, "%s", section.Name)
		for _, message := range section.Lines {
			assert.NotEmpty(t, messages[message], "no page has the message %s", message)
			assert.True(t, without || strings.Contains(text, release.ReplaceAllString(strings.TrimSuffix(message, "…"), "dev")), "%s does not have %s", section.Name, message)
			held[message] = true
		}
	}
	for message, in := range messages {
		assert.True(t, held[message], "%s has a message that test/pages/messages.txt does not list: %s", in, message)
	}
}

// TestBlocksAreCompared looks at the blocks of the pages that are neither commands nor YAML. Each must be a file, a table
// or an excerpt, which other tests of this package compare. deploy/docs/source.md may also have the list of packages,
// which TestSourceIsListed compares.
func TestBlocksAreCompared(t *testing.T) {
	blocks := pages.Blocks(t)
	assert.Greater(t, len(blocks), 4)
	for page, before := range blocks {
		for _, line := range before {
			assert.True(t, regexp.MustCompile(`^<!-- (?:file|table|excerpt): \S+ -->$`).MatchString(line) || page == "deploy/docs/source.md",
				"%s: no test compares the block behind %q", page, line)
		}
	}
}
