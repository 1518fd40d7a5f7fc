// Package noise finds lines in a command's output that do not help the reader: stack traces, logs of libraries, warnings of
// data races, and progress lines that come too often. The script .ci/run checks the output of some of its stages with this
// package.
package noise

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"time"
)

// minInterval is the shortest time between two progress lines with the same name, where the output is not a terminal.
const minInterval = 15 * time.Second

// slack is subtracted from minInterval, because a busy machine can delay one line and not the next.
const slack = 5 * time.Second

// kinds has the kinds of lines that are noise. A command of this project prints no such line if nothing is wrong.
var kinds = []struct {
	what string
	line *regexp.Regexp
}{
	{"a stack trace", regexp.MustCompile(`^goroutine \d+ \[|^\s+(\S*/)?\S+\.go:\d+ \+0x[0-9a-f]+|^panic: `)},
	{"a logger that nobody set", regexp.MustCompile(`log\.SetLogger\(\.\.\.\) was never called|>\s+goroutine `)},
	{"a library's own log", regexp.MustCompile(`^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+\.go:\d+\]`)},
	{"a data race", regexp.MustCompile(`^WARNING: DATA RACE`)},
}

// progress matches a line of package test/progress: a name, a state, and the elapsed time.
var progress = regexp.MustCompile(`^(\S+)  .*  (?:\d+m)?\d+s$`)

// A Finder finds noise in the output of one command.
type Finder struct {
	// Now returns the time. Tests replace it.
	Now  func() time.Time
	last map[string]time.Time
}

// Find returns the reason why a line is noise, or an empty string if it is none.
func (f *Finder) Find(line string) string {
	for _, kind := range kinds {
		if kind.line.MatchString(line) {
			return kind.what
		}
	}
	found := progress.FindStringSubmatch(line)
	if found == nil {
		return ""
	}
	now, before := f.Now(), f.last[found[1]]
	if f.last == nil {
		f.last = map[string]time.Time{}
	}
	f.last[found[1]] = now
	if !before.IsZero() && now.Sub(before) < minInterval-slack {
		return fmt.Sprintf("progress %s after the last", now.Sub(before).Round(time.Second))
	}
	return ""
}

// Copy copies all lines from in to out. It returns the lines that are noise, each with its reason.
func (f *Finder) Copy(out io.Writer, in io.Reader) ([]string, error) {
	var noise []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24) // One line of a failed test may contain a whole document.
	for lines.Scan() {
		if why := f.Find(lines.Text()); why != "" {
			noise = append(noise, why+": "+lines.Text())
		}
		if _, err := fmt.Fprintln(out, lines.Text()); err != nil {
			return noise, err
		}
	}
	return noise, lines.Err()
}
