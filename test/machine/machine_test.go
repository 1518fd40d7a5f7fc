package machine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// countingT is a testing.TB that counts calls of Logf and Errorf.
type countingT struct {
	testing.TB
	logged, failed int
}

func (*countingT) Helper()                 {}
func (r *countingT) Logf(string, ...any)   { r.logged++ }
func (r *countingT) Errorf(string, ...any) { r.failed++ }

func TestWithinOnSlowMachine(t *testing.T) {
	w := &Watch{}
	w.add(100 * usualTime)
	for took, want := range map[time.Duration]struct{ held, reported, failed bool }{
		time.Second:      {held: true},
		50 * time.Second: {reported: true},
		time.Hour:        {failed: true},
	} {
		r := &countingT{}
		assert.Equal(t, want.held, w.Within(r, took, time.Second, "it"), took)
		assert.Equal(t, want.reported, r.logged == 1, took)
		assert.Equal(t, want.failed, r.failed == 1, took)
	}
	assert.InDelta(t, 100, (&Watch{slowest: 100 * usualTime}).Slowest(), 0)
}

func TestWatchOnFastMachine(t *testing.T) {
	w := &Watch{}
	assert.InDelta(t, 1, w.Mean(), 0)
	w.add(usualTime / 10)
	assert.InDelta(t, 1, w.Slowest(), 0)
	assert.InDelta(t, 1, w.Mean(), 0)
	w.add(usualTime * 39 / 10)
	assert.InDelta(t, 2, w.Mean(), 0.001)
}

func TestWatchMeasuresAtLeastOnce(t *testing.T) {
	w := Start()
	w.Stop()
	assert.Positive(t, w.count)
	assert.Positive(t, w.slowest)
	t.Logf("%.2f times slower than usual", w.Slowest())
}
