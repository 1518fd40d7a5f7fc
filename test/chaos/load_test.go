package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// How many requests of a load may be out at once. A few are more than a machine that keeps up ever needs; on one that does not,
// more would only wait for each other, and in the end for longer than an API server waits.
const (
	few  = 8
	many = 64
)

// giveUp is how long a sender waits for one answer. KubeSpawner waits for 3 s; a machine with two cores that runs an API server, its
// store, the webhook and the senders is allowed more: as long as an API server gives any request.
const giveUp = time.Minute

// A load does something at a rate until it is stopped.
type load struct {
	cancel  context.CancelFunc
	done    sync.WaitGroup
	began   time.Time
	machine *machine.Watch

	mu    sync.Mutex
	tries []try
}

// A try is one of what a load has done.
type try struct {
	began time.Time
	took  time.Duration
	err   error
	// foul is what must never be, whatever else fails.
	foul error
}

// outcome of a load.
type outcome struct {
	tries  []try
	lasted time.Duration
	// machine is what the machine was like meanwhile.
	machine *machine.Watch
}

// paced does something so often a second until it is stopped. Where the machine does not keep up, the rate falls.
func paced(rate float64, do func(context.Context) try) *load {
	return beginLoad(few, rate, math.MaxInt, do)
}

// unpaced is a rate that no machine has: everything is done as soon as a sender is free.
const unpaced = 1e6

// burst does something so often, as fast as many can.
func burst(count int, do func(context.Context) try) outcome {
	return beginLoad(many, unpaced, count, do).end()
}

func beginLoad(callers int, rate float64, count int, do func(context.Context) try) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, began: time.Now(), machine: machine.Start()}
	free := make(chan struct{}, callers)
	l.done.Go(func() {
		for n := range count {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(l.began.Add(time.Duration(float64(n) / rate * float64(time.Second))))):
			}
			free <- struct{}{}
			l.done.Go(func() {
				defer func() { <-free }()
				l.note(do)
			})
		}
	})
	return l
}

func (l *load) note(do func(context.Context) try) {
	ctx, cancel := context.WithTimeout(context.Background(), giveUp)
	defer cancel()
	began := time.Now()
	done := do(ctx)
	done.began, done.took = began, time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries = append(l.tries, done)
}

// stop waits for what is out.
func (l *load) stop() outcome {
	l.cancel()
	return l.end()
}

// end waits until everything is done.
func (l *load) end() outcome {
	l.done.Wait()
	lasted := time.Since(l.began)
	l.machine.Stop()
	return outcome{l.tries, lasted, l.machine}
}

// since are those that began after a moment, and are done.
func (l *load) since(moment time.Time) (tries []try) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.tries), func(t try) bool { return t.began.Before(moment) })
}

// untilDone waits until so many are done that began after a moment.
func (l *load) untilDone(t *testing.T, count int, moment time.Time) {
	t.Helper()
	require.Eventually(t, func() bool { return len(l.since(moment)) >= count }, wait, 10*time.Millisecond, "the load goes on")
}

// reviewing asks a replica about the good review, and counts an answer that is not right among the failures.
func (r *replica) reviewing(client *http.Client) func(context.Context) try {
	return func(context.Context) try {
		answer, _, err := r.ask(client, "/mutate", goodReview)
		if err == nil && (!answer.Response.Allowed || answer.Response.Patch == "") {
			err = fmt.Errorf("it is not right: %+v", answer)
		}
		return try{err: err}
	}
}

// creating is the hub that creates Pods, of two users by turns.
func (c *cluster) creating() func(context.Context) try {
	users := make(chan string, 2)
	users <- "alice"
	users <- "bob"
	return func(ctx context.Context) try {
		user := <-users
		users <- user
		pod, err := c.create(ctx, notebook(user))
		if err != nil {
			return try{err: err}
		}
		return try{foul: injected(pod)}
	}
}

// creatingPlain creates Pods that are none of ours: what the API server does alone.
func (c *cluster) creatingPlain() func(context.Context) try {
	return func(ctx context.Context) try {
		_, err := c.create(ctx, plain())
		return try{err: err}
	}
}

func (o outcome) failed() (failed []try) {
	return slices.DeleteFunc(slices.Clone(o.tries), func(t try) bool { return t.err == nil })
}

func (o outcome) fouls() (fouls []try) {
	return slices.DeleteFunc(slices.Clone(o.tries), func(t try) bool { return t.foul == nil })
}

// share is the time that so many of a hundred stayed under.
func (o outcome) share(percent int) time.Duration {
	if len(o.tries) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(o.tries), func(a, b try) int { return cmp.Compare(a.took, b.took) })
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].took
}

func (o outcome) rate() float64 { return float64(len(o.tries)) / o.lasted.Seconds() }

// assertWhole: nothing failed, and nothing was admitted that should not be.
func (o outcome) assertWhole(t *testing.T) {
	t.Helper()
	failed := o.failed()
	if slices.ContainsFunc(failed, late) && slow(t, o.machine, "answers") {
		failed = slices.DeleteFunc(failed, late)
	}
	for _, f := range first(failed) {
		assert.NoError(t, f.err, "after %s", f.took)
	}
	o.assertFair(t)
}

// late tells whether somebody gave up waiting: whoever sent it, the API server, or a replica that asked the others.
func late(t try) bool {
	return t.err != nil && (errors.Is(t.err, context.DeadlineExceeded) || strings.Contains(t.err.Error(), "deadline exceeded") ||
		strings.Contains(t.err.Error(), "status code 408") || // a body that did not arrive in time
		apierrors.ReasonForError(t.err) == "GenerationUnknown")
}

// assertFair: whatever failed, nothing was admitted that should not be.
func (o outcome) assertFair(t *testing.T) {
	t.Helper()
	for _, f := range first(o.fouls()) {
		assert.NoError(t, f.foul)
	}
	assert.NotEmpty(t, o.tries)
}

// first are enough to see what it is.
func first(tries []try) []try { return tries[:min(len(tries), 5)] }

// String says what came of it.
func (o outcome) String() string {
	return fmt.Sprintf("%d creates at %.0f/s, %d failed, %d uninjected, p50 %s, p99 %s", len(o.tries), o.rate(), len(o.failed()),
		len(o.fouls()), milliseconds(o.share(50)), milliseconds(o.share(99)))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
