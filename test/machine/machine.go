// Package machine measures how slow this machine is while a test runs, so that a test can adjust its time limits.
//
// A limit such as "every response within a second" is a promise about a machine that has time for the webhook. A test that
// shares two cores with other programs can miss the limit without any fault of the webhook. So the test also measures how
// long a fixed piece of work takes at the same time, and multiplies the limit by the factor by which this machine is slower
// than usual. A time over the limit is logged. A time over the multiplied limit fails the test.
package machine

import (
	"crypto/sha256"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Patience is the longest time that a test waits for a condition that must become true. It is no promise of the product.
// With a shorter time, tests would fail on a slow machine.
const Patience = 3 * time.Minute

const (
	// usualTime is the time that the piece of work takes on the machine for which the limits were written, if nothing
	// else runs there.
	usualTime = 10 * time.Millisecond
	// rounds is the number of hashes in the piece of work. They take longer than a time slice of the kernel, so that the
	// work has to wait for other programs.
	rounds = 100_000
	// pause is the time between two pieces of work. With it, measuring takes a twentieth of one core.
	pause = 200 * time.Millisecond
)

// A Watch measures how slow the machine is, until Stop is called. It is safe for concurrent use.
type Watch struct {
	stop    chan struct{}
	stopped sync.WaitGroup

	lock              sync.Mutex
	count             int
	slowest, together time.Duration
}

// Start returns a Watch that measures until Stop is called.
func Start() *Watch {
	w := &Watch{stop: make(chan struct{})}
	w.stopped.Go(w.run)
	return w
}

// WatchDuring starts a Watch and stops it at the end of the test.
func WatchDuring(t testing.TB) *Watch {
	t.Helper()
	w := Start()
	t.Cleanup(w.Stop)
	return w
}

// Stop ends the measuring. It waits for the current piece of work, so that at least one piece has been measured. Stop
// must be called only once.
func (w *Watch) Stop() {
	close(w.stop)
	w.stopped.Wait()
}

func (w *Watch) run() {
	// The kernel divides the processor time among threads. With a thread of its own, this goroutine waits like every other
	// program. If a goroutine ends while it is locked to its thread, the thread ends too, and the kernel kills the
	// processes that the thread has started with Pdeathsig. So the goroutine unlocks the thread at the end.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		w.add(work())
		select {
		case <-w.stop:
			return
		case <-time.After(pause):
		}
	}
}

func (w *Watch) add(took time.Duration) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.count++
	w.together += took
	w.slowest = max(w.slowest, took)
}

// work does the piece of work and returns the time that it took.
func work() time.Duration {
	began := time.Now()
	var sum [sha256.Size]byte
	for range rounds {
		sum = sha256.Sum256(sum[:])
	}
	runtime.KeepAlive(sum)
	return time.Since(began)
}

// Measure measures the machine for a second. It returns the time of the slowest piece of work, divided by usualTime. The
// result is at least 1.
func Measure() float64 {
	w := Start()
	time.Sleep(time.Second) //nolint:forbidigo // this measures the machine in that time, and waits for nothing
	w.Stop()
	return w.Slowest()
}

// Slowest returns the time of the slowest piece of work until now, divided by usualTime. The result is at least 1.
func (w *Watch) Slowest() float64 {
	w.lock.Lock()
	defer w.lock.Unlock()
	return slowness(w.slowest)
}

// Mean returns the mean time of the pieces of work until now, divided by usualTime. The result is at least 1.
func (w *Watch) Mean() float64 {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.count == 0 {
		return 1
	}
	return slowness(w.together / time.Duration(w.count))
}

func slowness(took time.Duration) float64 { return max(1, float64(took)/float64(usualTime)) }

// Within reports whether the time "took" is at most the limit. If the time is longer, Within compares it with the limit
// multiplied by Slowest: a time within the multiplied limit is logged, and a longer time fails the test.
func (w *Watch) Within(t testing.TB, took, limit time.Duration, what string) bool {
	t.Helper()
	// The measurement that is running now is not included yet, and can be the slowest. So Within measures once more.
	w.add(work())
	slowest := w.Slowest()
	switch {
	case took <= limit:
		return true
	case took <= time.Duration(float64(limit)*slowest):
		t.Logf("no failure: %s took %s, over %s, on a machine that was %.1f times slower than usual", what, took, limit, slowest)
	default:
		t.Errorf("%s took %s, over %s, on a machine that was %.1f times slower than usual", what, took, limit, slowest)
	}
	return false
}
