package chaos

import (
	"fmt"
	"testing"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// tooSlow is how many times slower than usual a machine may be for an answer that came too late to be a failure. The API server
// waits 2 s for a webhook whose answers usually take a hundredth of that.
const tooSlow = 2

// within fails the test unless something took no longer than its limit, stretched by how slow the machine was. Where the limit held
// only when stretched, the table says so.
func within(t *testing.T, w *machine.Watch, took, limit time.Duration, what string) {
	t.Helper()
	if !w.Within(t, took, limit, what) {
		excuse(t, w, what)
	}
}

// slow reports whether the machine was too slow for an answer to be judged by when it came, and notes that in the table.
func slow(t *testing.T, w *machine.Watch, what string) bool {
	t.Helper()
	if w.Slowest() < tooSlow {
		return false
	}
	excuse(t, w, what)
	return true
}

func excuse(t *testing.T, w *machine.Watch, what string) {
	t.Helper()
	figures.excuse(t.Name(), fmt.Sprintf("late, not judged: %s, on a machine %.1f times slower than usual", what, w.Slowest()))
}
