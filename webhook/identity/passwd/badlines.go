package passwd

import (
	"fmt"
	"log/slog"
	"strings"
)

// maxLogged is the number of bad lines of a file that are logged. More bad lines usually have the same cause, and would fill the
// log.
const maxLogged = 10

// badLines are the lines of one file that are not valid, and were skipped.
type badLines struct {
	path  string
	count int
	// first are the faults of the first bad lines, at most maxLogged.
	first []*fault
}

func (b *badLines) add(f *fault) {
	b.count++
	if len(b.first) < maxLogged {
		b.first = append(b.first, f)
	}
}

// badLinesText returns the end of a sentence about the file that was read last: the number of bad lines, and the first of
// them. It returns "" if there are none.
func (t *table) badLinesText() string {
	bad := t.bad[len(t.bad)-1]
	if bad.count == 0 {
		return ""
	}
	return fmt.Sprintf("; %d bad lines are left out, the first is line %d: %s", bad.count, bad.first[0].line, bad.first[0].why)
}

// logBadLines logs the bad lines of the files in use, if they differ from the lines that were logged last.
func (s *Source) logBadLines(users *table) {
	var text strings.Builder
	for _, bad := range users.bad {
		fmt.Fprintln(&text, bad.count, bad.first)
	}
	if text.String() == s.loggedLines {
		return
	}
	s.loggedLines = text.String()
	for _, bad := range users.bad {
		for _, f := range bad.first {
			s.log.Warn("a line of the file is left out", "path", f.path, "line", f.line, "fault", f.why)
		}
		if more := bad.count - len(bad.first); more > 0 {
			s.log.Warn("more lines of the file are left out", slog.String("path", bad.path), slog.Int("lines", more))
		}
	}
}
