package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Whoever shares the machine takes time from everybody in a scenario, and answers come late that nobody is to blame for. So it is
// known how much others took; and where that is more than half, what was late is written down, but not judged. Everything else is.
const tooBusy = 0.5

// A usage is the processor time that was taken until a moment, by everybody and by this process and all that it has started.
type usage struct{ total, busy, own float64 }

// used reads what the kernel counts, in ticks.
func used() (u usage) {
	stat, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(stat), "\n")
	// user nice system idle iowait irq softirq steal
	for i, word := range strings.Fields(line)[1:9] {
		ticks, _ := strconv.ParseFloat(word, 64)
		u.total += ticks
		if i != 3 && i != 4 {
			u.busy += ticks
		}
	}
	u.own = ownTicks()
	return u
}

// ownTicks are those of the whole tree of processes, and of those of it that have ended.
func ownTicks() (ticks float64) {
	type process struct {
		parent int
		ticks  float64
	}
	processes := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // It has just ended.
		}
		// The name, in brackets, can have anything in it: pid (name) state ppid … utime stime cutime cstime.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, _ := strconv.Atoi(strings.TrimPrefix(filepath.Dir(file), "/proc/"))
		p := process{}
		p.parent, _ = strconv.Atoi(fields[1])
		for _, field := range fields[11:15] {
			n, _ := strconv.ParseFloat(field, 64)
			p.ticks += n
		}
		processes[pid] = p
	}
	self := os.Getpid()
	for pid, p := range processes {
		for at := pid; at != 0; at = processes[at].parent {
			if at == self {
				ticks += p.ticks
				break
			}
		}
	}
	return ticks
}

// others is the share of the machine that others have taken since.
func (u usage) others() float64 {
	now := used()
	if now.total == u.total {
		return 0
	}
	return max(0, (now.busy-u.busy)-(now.own-u.own)) / (now.total - u.total)
}

// busy tells whether what was late is to be judged, and says in the table where it was not.
func busy(t *testing.T, others float64) bool {
	t.Helper()
	if others <= tooBusy {
		return false
	}
	figures.excuse(t.Name(), fmt.Sprintf("late, not judged: others took %.0f %% of the machine", others*100))
	return true
}
