package rotation

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A load creates Pods in dry runs until the test ends. Each Pod has a mutating and a verifying review. The Pods come in
// bursts. A burst needs more than the 25 connections that the API server keeps open, so that every burst has TLS handshakes.
type load struct {
	lock     sync.Mutex
	admitted int
	failed   map[string]int
	slowest  time.Duration
}

const (
	burst      = 35
	burstEvery = 400 * time.Millisecond
)

func (w *cluster) startLoad(t *testing.T) *load {
	t.Helper()
	l := &load{failed: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(burstEvery)
		defer tick.Stop()
		for {
			var all sync.WaitGroup
			for range burst {
				all.Go(func() { l.count(w.admit()) })
			}
			all.Wait()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return l
}

// admit creates one labelled Pod, in a dry run, and returns the time that the creation took.
func (w *cluster) admit() (time.Duration, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "nb-", Labels: map[string]string{"jupyter-user": "alice"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "notebook", Image: "x"}}},
	}
	began := time.Now()
	// With the context of the test, a request that runs when the test ends would fail.
	_, err := w.client.CoreV1().Pods("lab").Create(context.Background(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return time.Since(began), err
}

func (l *load) count(took time.Duration, err error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if err != nil {
		l.failed[err.Error()]++
		return
	}
	l.admitted++
	l.slowest = max(l.slowest, took)
}

// runUnderLoad calls the function work in a subtest while the load creates Pods. It logs the numbers of admissions and
// connections, and the slowest admission. No admission may fail, and there must be new connections.
func (l *load) runUnderLoad(t *testing.T, s *service, what string, work func(t *testing.T)) {
	t.Helper()
	l.lock.Lock()
	l.admitted, l.failed, l.slowest = 0, map[string]int{}, 0
	l.lock.Unlock()
	opened, began := s.opened.Load(), time.Now()
	t.Run(what, func(t *testing.T) {
		work(t)
		// The load goes on for some more handshakes after the change.
		target := s.opened.Load() + 4
		require.Eventually(t, func() bool { return s.opened.Load() > target }, patience, pollEvery, "new connections")
	})
	l.lock.Lock()
	defer l.lock.Unlock()
	lost := 0
	for _, n := range l.failed {
		lost += n
	}
	t.Logf("%-48s %5d admitted, %d failed, %4d connections, slowest %5d ms, in %.1f s", what, l.admitted, lost, s.opened.Load()-opened,
		l.slowest.Milliseconds(), time.Since(began).Seconds())
	assert.Empty(t, l.failed, "%s: failed admissions", what)
	assert.NotZero(t, l.admitted, what)
}
