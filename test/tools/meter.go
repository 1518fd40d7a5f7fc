package tools

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	// redrawEvery is how often the line on a terminal is drawn anew.
	redrawEvery = time.Second
	// repeatEvery is how often a line is written to anything else, such as the log of a CI, where a longer silence would
	// look like a hang and a shorter one would fill pages.
	repeatEvery = 15 * time.Second
)

// A meter shows that something moves: on a terminal by a line that is redrawn, elsewhere by a line now and then.
type meter struct {
	out      io.Writer
	terminal bool
	tool     Tool
	started  time.Time
	stop     chan struct{}
	stopped  sync.WaitGroup
	ended    sync.Once

	lock      sync.Mutex
	doing     string
	done      int
	total     int
	downloads int
}

// startMeter shows at once what is being done.
func startMeter(out io.Writer, tool Tool, doing string) *meter {
	m := newMeter(out, tool, doing)
	m.start()
	return m
}

func newMeter(out io.Writer, tool Tool, doing string) *meter {
	if out == nil {
		out = io.Discard
	}
	return &meter{out: out, terminal: isTerminal(out), tool: tool, started: time.Now(), doing: doing,
		stop: make(chan struct{})}
}

func (m *meter) start() {
	m.draw()
	m.stopped.Go(m.drawUntilStopped)
}

// isTerminal says whether a line written to out can be written over.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// say changes what is being done.
func (m *meter) say(doing string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.doing, m.total = doing, 0
}

// expect makes the meter count packages.
func (m *meter) expect(total int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.total = total
}

// compiled counts a package.
func (m *meter) compiled() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.done++
}

// downloaded counts a module.
func (m *meter) downloaded() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.downloads++
	m.doing = fmt.Sprintf("downloading modules (%d)", m.downloads)
}

// end takes the line away, and leaves a last word if there is one. Only the first call counts.
func (m *meter) end(word string) {
	m.ended.Do(func() {
		close(m.stop)
		m.stopped.Wait()
		if m.terminal {
			m.write("\r\x1b[K")
		}
		if word != "" {
			m.write(fmt.Sprintf("%s  %s in %s\n", m.tool, word, m.elapsed()))
		}
	})
}

func (m *meter) drawUntilStopped() {
	every := repeatEvery
	if m.terminal {
		every = redrawEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-ticker.C:
			m.draw()
		}
	}
}

func (m *meter) draw() {
	if m.terminal {
		m.write("\r\x1b[K" + m.line())
		return
	}
	m.write(m.line() + "\n")
}

// write ignores errors: a build is not to fail because nobody can watch it.
func (m *meter) write(text string) { _, _ = io.WriteString(m.out, text) }

// line is what the meter shows now.
func (m *meter) line() string {
	m.lock.Lock()
	defer m.lock.Unlock()
	doing := m.doing
	if m.total > 0 {
		doing = fmt.Sprintf("%d/%d packages", m.done, m.total)
	}
	if m.elapsed() < time.Second {
		return fmt.Sprintf("%s  %s", m.tool, doing)
	}
	return fmt.Sprintf("%s  %s  %s", m.tool, doing, m.elapsed())
}

func (m *meter) elapsed() time.Duration { return time.Since(m.started).Round(time.Second) }
