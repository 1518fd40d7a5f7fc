package chaos

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
)

// figures is the table that is printed at the end of this run.
var figures table

type table struct {
	mu    sync.Mutex
	lines []*line
	// excuses has, by test, the reason why a late response or a low rate is no failure.
	excuses map[string]string
}

type line struct {
	scenario, wanted, figure, verdict string
}

// report adds a line with the wanted and the measured figure to the table. The test, and not this function, compares
// them.
func report(t *testing.T, wanted, figure string, values ...any) {
	t.Helper()
	l := &line{scenario: scenario(t.Name()), wanted: wanted, figure: fmt.Sprintf(figure, values...)}
	t.Logf("%s: %s", l.scenario, l.figure)
	figures.mu.Lock()
	defer figures.mu.Unlock()
	figures.lines = append(figures.lines, l)
	t.Cleanup(func() {
		figures.mu.Lock()
		defer figures.mu.Unlock()
		l.verdict = cmp.Or(figures.excuses[t.Name()], "held")
		if t.Failed() {
			l.verdict = "**missed**"
		}
	})
}

// excuse records why a late response or a low rate is no failure of a test.
func (f *table) excuse(test, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.excuses == nil {
		f.excuses = map[string]string{}
	}
	f.excuses[test] = why
}

// scenario returns the name of a test as words: "Replica killed" for TestReplicaKilled.
func scenario(test string) string {
	name, part, _ := strings.Cut(strings.TrimPrefix(test, "Test"), "/")
	var words strings.Builder
	for i, letter := range name {
		if i > 0 && unicode.IsUpper(letter) {
			words.WriteByte(' ')
			letter = unicode.ToLower(letter)
		}
		words.WriteRune(letter)
	}
	if part != "" {
		words.WriteString(": " + strings.ReplaceAll(part, "_", " "))
	}
	return words.String()
}

// print writes the table, in Markdown.
func (f *table) print(out io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 {
		return
	}
	load, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Fprintf(out, "\n%s form, %s, %d cores, load at the end %s\n\n", map[bool]string{true: "Short", false: "Long"}[chosenForm == short],
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), strings.Join(strings.Fields(string(load) + " ? ? ?")[:3], " "))
	_, _ = fmt.Fprintln(out, "| scenario | wanted | measured | |\n|---|---|---|---|")
	for _, l := range f.lines {
		_, _ = fmt.Fprintf(out, "| %s | %s | %s | %s |\n", l.scenario, l.wanted, l.figure, l.verdict)
	}
}
