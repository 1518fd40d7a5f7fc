package chaos

import (
	"fmt"
	"testing"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// maxSlowness is a factor. If the machine was that many times slower than usual at any time, a late response does not fail a
// test.
const maxSlowness = 2

// within fails the test if something took longer than its limit. On a slow machine the limit is longer. If something needed
// the longer limit, the table that is printed at the end (figures_test.go) says that the machine was slow.
func within(t *testing.T, w *machine.Watch, took, limit time.Duration, what string) {
	t.Helper()
	if !w.Within(t, took, limit, what) {
		excuse(t, w, what)
	}
}

// slow reports whether the machine was so slow that a late response is no failure. If so, the table that is
// printed at the end says that the machine was slow.
func slow(t *testing.T, w *machine.Watch, what string) bool {
	t.Helper()
	if w.Slowest() < maxSlowness {
		return false
	}
	excuse(t, w, what)
	return true
}

func excuse(t *testing.T, w *machine.Watch, what string) {
	t.Helper()
	figures.excuse(t.Name(), fmt.Sprintf("late, no failure: %s, on a machine %.1f times slower than usual", what, w.Slowest()))
}
