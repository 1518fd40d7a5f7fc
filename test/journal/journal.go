// Package journal keeps the log of a server in memory. A test can read the log while the server writes to it.
package journal

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Journal is a log of JSON lines. The zero value is an empty log.
type Journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// String returns the log so far.
func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// Clear empties the log.
func (j *Journal) Clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Reset()
}

// Lines returns the lines of the log. If message is not empty, it returns only the lines with this message. Each line
// must be JSON.
func (j *Journal) Lines(t *testing.T, message string) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(j.String()) {
		line := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(text), &line), "each line is JSON: %s", text)
		if message == "" || line["msg"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}
