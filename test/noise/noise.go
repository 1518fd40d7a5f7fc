// Package noise finds what a command prints that tells its reader nothing: stack traces, what libraries say to their own
// authors, and progress that fills pages. The gate reads the output of every stage through it.
package noise

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"time"
)

// every is how often progress may say something where it cannot write over its last line.
const every = 15 * time.Second

// slack is for a machine that holds up one line and not the next.
const slack = 5 * time.Second

// kinds of lines that no command of ours prints when all is well.
var kinds = []struct {
	what string
	line *regexp.Regexp
}{
	{"a stack trace", regexp.MustCompile(`^goroutine \d+ \[|^\s+(\S*/)?\S+\.go:\d+ \+0x[0-9a-f]+|^panic: `)},
	{"a logger that nobody set", regexp.MustCompile(`log\.SetLogger\(\.\.\.\) was never called|>\s+goroutine `)},
	{"a library's own log", regexp.MustCompile(`^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+\.go:\d+\]`)},
	{"a data race", regexp.MustCompile(`^WARNING: DATA RACE`)},
}

// progress is a line of test/progress: what is done, how far, and for how long.
var progress = regexp.MustCompile(`^(\S+)  .*  (?:\d+m)?\d+s$`)

// A Finder looks at the lines of one command.
type Finder struct {
	// Now is time.Now for all but tests.
	Now  func() time.Time
	last map[string]time.Time
}

// Find returns why a line is noise, or an empty text.
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
	if !before.IsZero() && now.Sub(before) < every-slack {
		return fmt.Sprintf("progress %s after the last", now.Sub(before).Round(time.Second))
	}
	return ""
}

// Copy passes all lines on, and returns what is noise among them, each with its reason.
func (f *Finder) Copy(out io.Writer, in io.Reader) ([]string, error) {
	var noise []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24) // One line of a test's failure may be a whole document.
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
