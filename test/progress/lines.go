package progress

import (
	"bytes"
	"strings"
)

// tailLines is how much of an output an error shows.
const tailLines = 25

// Lines hands what is written to it on by the line.
type Lines struct {
	Each    func(line string)
	pending []byte
}

// Write never fails.
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

// A Tail is the last lines of an output.
type Tail struct {
	lines []string
}

// Add takes a line in.
func (t *Tail) Add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// String is the lines, as they were written.
func (t *Tail) String() string { return strings.Join(t.lines, "\n") }
