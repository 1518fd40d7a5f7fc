// Package progress is what a user sees who waits for something to be made: that it moves, how long it took, and, where
// it failed, the last of what was said.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	// redrawEvery is how often the line on a terminal is drawn again.
	redrawEvery = time.Second
	// repeatEvery is how often a line is written to anything else, such as the log of a CI, where a longer silence would
	// look like a hang and a shorter one would fill pages.
	repeatEvery = 15 * time.Second
)

// A Meter shows that something moves: on a terminal by a line that is redrawn, elsewhere by a line now and then.
type Meter struct {
	out      io.Writer
	terminal bool
	name     string
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

// Start shows at once what is being done.
func Start(out io.Writer, name, doing string) *Meter {
	m := newMeter(out, name, doing)
	m.start()
	return m
}

func newMeter(out io.Writer, name, doing string) *Meter {
	if out == nil {
		out = io.Discard
	}
	return &Meter{out: out, terminal: isTerminal(out), name: name, started: time.Now(), doing: doing,
		stop: make(chan struct{})}
}

func (m *Meter) start() {
	m.draw()
	m.stopped.Go(m.drawUntilStopped)
}

// isTerminal says whether a line written to out can be written over.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// Say changes what is being done.
func (m *Meter) Say(doing string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.doing, m.total = doing, 0
}

// Expect makes the meter count packages.
func (m *Meter) Expect(total int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.total = total
}

// Compiled counts a package.
func (m *Meter) Compiled() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.done++
}

// Downloaded counts a module.
func (m *Meter) Downloaded() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.downloads++
	m.doing = fmt.Sprintf("downloading modules (%d)", m.downloads)
}

// End takes the line away, and leaves a last word if there is one. Only the first call counts.
func (m *Meter) End(word string) {
	m.ended.Do(func() {
		close(m.stop)
		m.stopped.Wait()
		if m.terminal {
			m.write("\r\x1b[K")
		}
		if word != "" {
			m.write(fmt.Sprintf("%s  %s in %s\n", m.name, word, m.elapsed()))
		}
	})
}

func (m *Meter) drawUntilStopped() {
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

func (m *Meter) draw() {
	if m.terminal {
		m.write("\r\x1b[K" + m.line())
		return
	}
	m.write(m.line() + "\n")
}

// write ignores errors: a build is not to fail because nobody can watch it.
func (m *Meter) write(text string) { _, _ = io.WriteString(m.out, text) }

// line is what the meter shows now.
func (m *Meter) line() string {
	m.lock.Lock()
	defer m.lock.Unlock()
	doing := m.doing
	if m.total > 0 {
		doing = fmt.Sprintf("%d/%d packages", m.done, m.total)
	}
	if m.elapsed() < time.Second {
		return fmt.Sprintf("%s  %s", m.name, doing)
	}
	return fmt.Sprintf("%s  %s  %s", m.name, doing, m.elapsed())
}

func (m *Meter) elapsed() time.Duration { return time.Since(m.started).Round(time.Second) }
