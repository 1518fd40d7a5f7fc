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

// fewCallers and manyCallers are limits for the number of concurrent calls of a load. callMany uses manyCallers. startLoad
// uses fewCallers: on a fast machine, eight concurrent calls are enough for its rates. On a slow machine, more calls would
// only wait for each other, until the API server stops waiting for the webhook.
const (
	fewCallers  = 8
	manyCallers = 64
)

// sendTimeout is the longest time that a sender waits for a response. KubeSpawner waits for 3 s. The tests wait for a
// minute, an API server's time limit for a request, because the machine can have only two cores for the API server,
// etcd, the webhook and the senders.
const sendTimeout = time.Minute

// A load calls a function at a rate until it is stopped or has made all its calls.
type load struct {
	cancel  context.CancelFunc
	done    sync.WaitGroup
	began   time.Time
	machine *machine.Watch

	mu    sync.Mutex
	tries []try
}

// A try is the result of one call of a load.
type try struct {
	began time.Time
	took  time.Duration
	err   error
	// violation is the error of a call with a wrong result, such as an admitted Pod without injection. A test fails because
	// of a violation even where it allows failed calls.
	violation error
}

// An outcome has the results of all calls of a load.
type outcome struct {
	tries  []try
	lasted time.Duration
	// machine has measured the speed of the machine during the load.
	machine *machine.Watch
}

// startLoad starts a load that calls the function "call" at a rate, in calls per second, until the load is stopped. On a
// slow machine the real rate is lower.
func startLoad(rate float64, call func(context.Context) try) *load {
	return beginLoad(fewCallers, rate, math.MaxInt, call)
}

// unpaced is a rate that no machine reaches, so that each caller calls without a pause.
const unpaced = 1e6

// callMany calls the function "call" as fast as possible, until it has made this number of calls.
func callMany(count int, call func(context.Context) try) outcome {
	return beginLoad(manyCallers, unpaced, count, call).end()
}

func beginLoad(callers int, rate float64, count int, call func(context.Context) try) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, began: time.Now(), machine: machine.Start()}
	slots := make(chan struct{}, callers)
	l.done.Go(func() {
		for n := range count {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(l.began.Add(time.Duration(float64(n) / rate * float64(time.Second))))):
			}
			slots <- struct{}{}
			l.done.Go(func() {
				defer func() { <-slots }()
				l.measure(call)
			})
		}
	})
	return l
}

func (l *load) measure(call func(context.Context) try) {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	began := time.Now()
	done := call(ctx)
	done.began, done.took = began, time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries = append(l.tries, done)
}

// load.stop lets no new call begin, except one that is due already, and waits until all calls have ended.
func (l *load) stop() outcome {
	l.cancel()
	return l.end()
}

// load.end waits until all calls have ended, and returns their results.
func (l *load) end() outcome {
	l.done.Wait()
	lasted := time.Since(l.began)
	l.machine.Stop()
	return outcome{l.tries, lasted, l.machine}
}

// load.since returns the calls that began at the moment or later and have ended.
func (l *load) since(moment time.Time) (tries []try) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.tries), func(t try) bool { return t.began.Before(moment) })
}

// untilDone waits until this number of calls that began at the moment or later have ended.
func (l *load) untilDone(t *testing.T, count int, moment time.Time) {
	t.Helper()
	require.Eventually(t, func() bool { return len(l.since(moment)) >= count }, wait, 10*time.Millisecond, "the load goes on")
}

// reviewing returns a function that sends goodReview. A response without a patch is an error.
func (r *replica) reviewing(client *http.Client) func(context.Context) try {
	return func(context.Context) try {
		got, _, err := r.send(client, "/mutate", goodReview)
		if err == nil && (!got.Response.Allowed || got.Response.Patch == "") {
			err = fmt.Errorf("a good review is not admitted with a patch: %+v", got)
		}
		return try{err: err}
	}
}

// creating returns a function that creates a notebook as the hub, for two users in turn.
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
		return try{violation: checkInjected(pod)}
	}
}

// creatingPlain returns a function that creates a Pod that is no notebook, so that the API server does not call the
// webhook.
func (c *cluster) creatingPlain() func(context.Context) try {
	return func(ctx context.Context) try {
		_, err := c.create(ctx, plainPod())
		return try{err: err}
	}
}

func (o outcome) failed() (failed []try) {
	return slices.DeleteFunc(slices.Clone(o.tries), func(t try) bool { return t.err == nil })
}

func (o outcome) violations() (wrong []try) {
	return slices.DeleteFunc(slices.Clone(o.tries), func(t try) bool { return t.violation == nil })
}

func (o outcome) percentile(percent int) time.Duration {
	if len(o.tries) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(o.tries), func(a, b try) int { return cmp.Compare(a.took, b.took) })
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].took
}

func (o outcome) rate() float64 { return float64(len(o.tries)) / o.lasted.Seconds() }

// assertWhole fails if any call failed or was a violation, or if there was no call. If the machine was slow, it allows late responses.
func (o outcome) assertWhole(t *testing.T) {
	t.Helper()
	failed := o.failed()
	if slices.ContainsFunc(failed, late) && slow(t, o.machine, "responses") {
		failed = slices.DeleteFunc(failed, late)
	}
	for _, f := range first(failed) {
		assert.NoError(t, f.err, "after %s", f.took)
	}
	o.assertNoViolation(t)
}

// late reports whether a call failed because its sender, the API server or a replica stopped waiting.
func late(t try) bool {
	return t.err != nil && (errors.Is(t.err, context.DeadlineExceeded) || strings.Contains(t.err.Error(), "deadline exceeded") ||
		strings.Contains(t.err.Error(), "status code 408") || // a body that did not arrive in time
		apierrors.ReasonForError(t.err) == "GenerationUnknown")
}

// assertNoViolation fails if a call was a violation, or if there was no call. Failed calls are allowed.
func (o outcome) assertNoViolation(t *testing.T) {
	t.Helper()
	for _, f := range first(o.violations()) {
		assert.NoError(t, f.violation)
	}
	assert.NotEmpty(t, o.tries)
}

// first returns at most five tries, which are enough for a message.
func first(tries []try) []try { return tries[:min(len(tries), 5)] }

// String returns the figures of a load that creates Pods.
func (o outcome) String() string {
	return fmt.Sprintf("%d creates at %.0f/s, %d failed, %d without injection, p50 %s, p99 %s", len(o.tries), o.rate(), len(o.failed()),
		len(o.violations()), milliseconds(o.percentile(50)), milliseconds(o.percentile(99)))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
