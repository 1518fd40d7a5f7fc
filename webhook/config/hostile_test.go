package config_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// hostileFiles are large files that could cost the parser or a later step much time or memory. The field "repeated" has the
// text that fills a file, between "before" and "after", up to the maximum size.
var hostileFiles = map[string]struct{ before, repeated, after string }{
	"comments in a list":     {"user:\n  reserved:\n", "  - #\n", ""},
	"a list in brackets":     {"user:\n  reserved: [", "a,", "]"},
	"nested lists":           {"user: ", "[", ""},
	"nested mappings":        {"user: ", "{a: ", ""},
	"nested blocks":          {"", "- ", ""},
	"unknown keys":           {"", "a: #x\n", ""},
	"one key many times":     {"", "user: {}\n", ""},
	"misspelled keys":        {"", "notebooook: 1\n", ""},
	"an unknown long key":    {"", "k", ": 1\n"},
	"a long text":            {"user:\n  mapFile: ", "a", "\n"},
	"a long path":            {"share:\n  mountPath: ", "/a/..", "\n"},
	"a long image":           {"init:\n  image: ", "a-", "\n"},
	"a long number":          {"notebook:\n  port: ", "9", "\n"},
	"a long quantity":        {"scratch:\n  sizeLimit: ", "9", "Gi\n"},
	"aliases":                {"user: &a {}\nshare: [", "*a,", "]"},
	"equal directories":      {"share:\n  directories:\n", "  - {subPath: a, mountPath: /a, access: ReadOnly}\n", ""},
	"resources":              {"init:\n  resources:\n    limits:\n", "      a.b/c: 1\n", ""},
	"documents":              {"", "---\n", ""},
	"a long word, not ASCII": {"user:\n  mapFile: ", "日", "\n"},
	"a long key, not ASCII":  {"日", "日", ": 1\n"},
}

func TestParseHostileFiles(t *testing.T) {
	for name, parts := range hostileFiles {
		t.Run(name, func(t *testing.T) {
			space := config.MaxBytes - len(header) - len(parts.before) - len(parts.after)
			file := header + parts.before + strings.Repeat(parts.repeated, space/len(parts.repeated)) + parts.after
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			watch := machine.WatchDuring(t)
			start := time.Now()

			_, err := config.Parse([]byte(file))

			took := time.Since(start)
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			assert.Less(t, len(err.Error()), 128<<10)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MiB", took, allocated)
			watch.Within(t, took, 10*time.Second, "the denial of a file")
			assert.Less(t, allocated, uint64(256))
		})
	}
}

func TestParseTooLargeFile(t *testing.T) {
	_, err := config.Parse([]byte(header + strings.Repeat("#", config.MaxBytes)))
	require.EqualError(t, err, "the file has more than 256 KiB, the most that is read")
}

func TestParseFileWithManyErrors(t *testing.T) {
	_, err := config.Parse([]byte(header + strings.Repeat("nonsense:\n", 1000)))
	require.Error(t, err)
	assert.Len(t, err, 1000)
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, 101)
	assert.Equal(t, "and 900 more", lines[100])
}
