package progress

import (
	"bytes"
	"strings"
)

// tailLines is the number of lines that a Tail keeps.
const tailLines = 25

// Lines is a writer that calls Each with every complete line, without the newline.
type Lines struct {
	Each    func(line string)
	pending []byte
}

// Write calls Each with every line that is complete now. It never fails.
func (l *Lines) Write(data []byte) (int, error) {
	l.pending = append(l.pending, data...)
	for {
		line, rest, found := bytes.Cut(l.pending, []byte("\n"))
		if !found {
			return len(data), nil
		}
		l.Each(string(line))
		l.pending = rest
	}
}

// A Tail keeps the last lines of an output.
type Tail struct {
	lines []string
}

// Add appends a line. It drops the oldest line if the Tail has more than tailLines.
func (t *Tail) Add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// String returns the kept lines, separated by newlines.
func (t *Tail) String() string { return strings.Join(t.lines, "\n") }
