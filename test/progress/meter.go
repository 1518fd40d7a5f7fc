// Package progress shows a waiting developer the state of a long task, such as a build, and how long the task has taken. If
// the task fails, Tail and Ends give the end of its output or logs, for the error.
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
	// redrawEvery is the time between two updates of the line on a terminal.
	redrawEvery = time.Second
	// repeatEvery is the time between two lines if the output is not a terminal, such as the log of a CI job. A longer time
	// would look like a hang, and a shorter time would fill the log.
	repeatEvery = 15 * time.Second
)

// A Meter shows the state of a build. On a terminal, it updates one line. If the output is not a terminal, it writes a new
// line at the interval repeatEvery.
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

// Start returns a running Meter, and immediately writes the first line: "<name>  <doing>". If out is nil, the Meter writes
// nothing.
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

// isTerminal reports whether out is a terminal on which a line can be overwritten.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// Say changes the text that the line shows. The line no longer shows the number of packages.
func (m *Meter) Say(doing string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.doing, m.total = doing, 0
}

// Expect lets the line show the number of compiled packages, out of total.
func (m *Meter) Expect(total int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.total = total
}

// Compiled counts one compiled package.
func (m *Meter) Compiled() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.done++
}

// Downloaded counts one downloaded module.
func (m *Meter) Downloaded() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.downloads++
	m.doing = fmt.Sprintf("downloading modules (%d)", m.downloads)
}

// End stops the meter and removes its line from a terminal. If the argument "word" is not empty, End writes a last line
// with this word and the elapsed time. Only the first call has an effect.
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
	interval := repeatEvery
	if m.terminal {
		interval = redrawEvery
	}
	ticker := time.NewTicker(interval)
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

// Errors are ignored: a build must not fail because its progress cannot be shown.
func (m *Meter) write(text string) { _, _ = io.WriteString(m.out, text) }

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
