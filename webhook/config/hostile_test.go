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

// hostile are files, each of which is the worst case, in time or memory, for the parser or a later step.
var hostile = map[string]struct{ before, repeated, after string }{
	"comments in a list":       {"user:\n  reserved:\n", "  - #\n", ""},
	"a list of nothing":        {"user:\n  reserved: [", "a,", "]"},
	"nested lists":             {"user: ", "[", ""},
	"nested mappings":          {"user: ", "{a: ", ""},
	"nested blocks":            {"", "- ", ""},
	"unknown keys":             {"", "a: #x\n", ""},
	"one key many times":       {"", "user: {}\n", ""},
	"keys that nearly are":     {"", "notebooook: 1\n", ""},
	"an unknown long key":      {"", "k", ": 1\n"},
	"a long text":              {"user:\n  mapFile: ", "a", "\n"},
	"a long path":              {"share:\n  mountPath: ", "/a/..", "\n"},
	"a long image":             {"init:\n  image: ", "a-", "\n"},
	"a long number":            {"notebook:\n  port: ", "9", "\n"},
	"a long quantity":          {"scratch:\n  sizeLimit: ", "9", "Gi\n"},
	"aliases":                  {"user: &a {}\nshare: [", "*a,", "]"},
	"directories in one place": {"share:\n  directories:\n", "  - {subPath: a, mountPath: /a, access: ReadOnly}\n", ""},
	"resources":                {"init:\n  resources:\n    limits:\n", "      a.b/c: 1\n", ""},
	"documents":                {"", "---\n", ""},
	"a long word in no ASCII":  {"user:\n  mapFile: ", "日", "\n"},
	"a long key in no ASCII":   {"日", "日", ": 1\n"},
}

func TestHostileFilesAreDeniedInBoundedTimeAndMemory(t *testing.T) {
	for name, part := range hostile {
		t.Run(name, func(t *testing.T) {
			space := config.MaxBytes - len(header) - len(part.before) - len(part.after)
			file := header + part.before + strings.Repeat(part.repeated, space/len(part.repeated)) + part.after
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

func TestTooLargeFileIsDeniedUnread(t *testing.T) {
	_, err := config.Parse([]byte(header + strings.Repeat("#", config.MaxBytes)))
	require.EqualError(t, err, "the file has more than 256 KiB, the most that is read")
}

func TestManyErrorsAreCountedRatherThanShown(t *testing.T) {
	_, err := config.Parse([]byte(header + strings.Repeat("nonsense:\n", 1000)))
	require.Error(t, err)
	assert.Len(t, err, 1000)
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, 101)
	assert.Equal(t, "and 900 more", lines[100])
}
