// Package journal keeps what a server logs, for tests that read it while the server writes.
package journal

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Journal is a log of JSON lines. Its zero value is an empty one.
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

// String is the log so far.
func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// Forget empties the log.
func (j *Journal) Forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Reset()
}

// Lines are the log's, of one message where one is given. Each has to be JSON.
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
