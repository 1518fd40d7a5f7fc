// Package machine measures how slow this machine is while a test runs, so that a limit in time can be judged as a ratio.
//
// A limit such as "every answer within a second" is a promise about a machine that has time for the webhook. A test that shares
// two cores with other programs can miss it without any fault of the webhook. So the test measures, in the same seconds, how long
// a fixed piece of work takes, and stretches the limit by what the machine is slower than the one that the limits were written
// on. A time over the limit itself is reported; a time over the stretched limit fails.
package machine

import (
	"crypto/sha256"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for a condition that must come true. It is no promise of the product: a test that waits for
// less fails on a machine that is only slow.
const Patience = 3 * time.Minute

const (
	// usual is how long the piece of work takes on the machine that the limits were written on, with nothing beside it.
	usual = 10 * time.Millisecond
	// rounds of hashing are the piece of work: longer than a time slice of the kernel's, so that it meets everyone else who waits.
	rounds = 100_000
	// pause between two pieces of work: measuring takes a twentieth of one core.
	pause = 200 * time.Millisecond
)

// A Watch measures the machine until it is stopped. It is safe for concurrent use.
type Watch struct {
	stop    chan struct{}
	stopped sync.WaitGroup

	lock              sync.Mutex
	count             int
	slowest, together time.Duration
}

// Start starts to measure.
func Start() *Watch {
	w := &Watch{stop: make(chan struct{})}
	w.stopped.Go(w.run)
	return w
}

// For starts to measure for as long as the test lasts.
func For(t testing.TB) *Watch {
	t.Helper()
	w := Start()
	t.Cleanup(w.Stop)
	return w
}

// Stop ends the measuring. It must be called once, and returns when at least one piece of work has been measured.
func (w *Watch) Stop() {
	close(w.stop)
	w.stopped.Wait()
}

func (w *Watch) run() {
	// The kernel shares its time among threads. A thread of its own waits for its turn as every other program does.
	// Unlocked at the end, the thread stays: with a thread that ends, the kernel kills what it started with Pdeathsig.
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

// work returns how long the piece of work took.
func work() time.Duration {
	began := time.Now()
	var sum [sha256.Size]byte
	for range rounds {
		sum = sha256.Sum256(sum[:])
	}
	runtime.KeepAlive(sum)
	return time.Since(began)
}

// Now measures the machine for a second, and returns how many times slower than usual its slowest moment was; 1 at least.
func Now() float64 {
	w := Start()
	time.Sleep(time.Second) //nolint:forbidigo // this measures the machine in that time, and waits for nothing
	w.Stop()
	return w.Slowest()
}

// Slowest returns how many times longer than usual the slowest piece of work took until now; 1 at least.
func (w *Watch) Slowest() float64 {
	w.lock.Lock()
	defer w.lock.Unlock()
	return times(w.slowest)
}

// Mean returns how many times longer than usual a piece of work took on average until now; 1 at least.
func (w *Watch) Mean() float64 {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.count == 0 {
		return 1
	}
	return times(w.together / time.Duration(w.count))
}

func times(took time.Duration) float64 { return max(1, float64(took)/float64(usual)) }

// Within fails the test unless something took no longer than its limit, stretched by the slowest moment of the machine. It
// reports whether the limit held as it is, and logs why where the limit held only when stretched.
func (w *Watch) Within(t testing.TB, took, limit time.Duration, what string) bool {
	t.Helper()
	// The work that is going on may be the slowest of all.
	w.add(work())
	slowest := w.Slowest()
	switch {
	case took <= limit:
		return true
	case took <= time.Duration(float64(limit)*slowest):
		t.Logf("not judged: %s took %s, over %s, on a machine that was %.1f times slower than usual", what, took, limit, slowest)
	default:
		t.Errorf("%s took %s, over %s, on a machine that was %.1f times slower than usual", what, took, limit, slowest)
	}
	return false
}
