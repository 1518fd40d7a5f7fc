package chaos

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// TestStoppedDuringReviews stops a replica after the first part of each of sixteen reviews was sent. Eight reviews are
// completed while the replica drains, the others after it has stopped listening. The replica responds to all sixteen,
// and to a new review that comes while it drains. It stops being ready before it stops listening.
func TestStoppedDuringReviews(t *testing.T) {
	var sent, served atomic.Int32
	t.Run("rounds", func(t *testing.T) {
		for n := range chosenForm.stops {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				round := stopDuringReviews(t)
				if len(round.lost) > 0 && round.late() && slow(t, round.machine, "reviews that did not arrive before the drain was over") {
					return
				}
				for _, err := range round.lost {
					assert.NoError(t, err, "a review is lost")
				}
				sent.Add(inFlight + 1)
				served.Add(inFlight + 1 - int32(len(round.lost)))
			})
		}
	})
	report(t, "0 lost, first not ready", "%d stops, %d reviews before or during the drain, %d lost", chosenForm.stops, sent.Load(),
		sent.Load()-served.Load())
}

const (
	inFlight = 16
	// drainTime is the value of the flag --drain.
	drainTime = 2 * time.Second
	// bodyTime is the server's time limit for the arrival of a complete request.
	bodyTime = 10 * time.Second
)

// A stopRound is the result of one stopped replica.
type stopRound struct {
	machine *machine.Watch
	// lost has an error for each review without a correct response, and the error with which the process ended, if any.
	lost []error
	// whole is the time from the first request until the last response. draining is the time from SIGTERM until the last
	// response to a request that the test completes during the drain.
	whole, draining time.Duration
}

// late reports whether the test completed the requests too late for the replica.
func (r stopRound) late() bool { return r.whole > bodyTime || r.draining > drainTime }

func (r *stopRound) record(err error) {
	if err != nil {
		r.lost = append(r.lost, err)
	}
}

func stopDuringReviews(t *testing.T) (round stopRound) {
	t.Helper()
	round.machine = machine.WatchDuring(t)
	r, client := startAlone(t, "--drain="+drainTime.String())
	began := time.Now()
	conns := make([]net.Conn, inFlight)
	for i := range conns {
		conns[i] = r.dial(t)
		_, err := fmt.Fprintf(conns[i], "%sContent-Length: %d\r\n\r\n%s", openHead, len(goodReview), goodReview[:len(goodReview)/2])
		require.NoError(t, err)
	}

	r.signal(t, syscall.SIGTERM)
	stopped := time.Now()
	require.Eventually(t, func() bool { return ready(r.http) != nil }, wait, time.Millisecond)
	round.record(reviewWhileDraining(r, client))
	for _, conn := range conns[:inFlight/2] {
		round.record(finish(conn))
	}
	round.draining = time.Since(stopped)
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", r.reviews)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, wait, 5*time.Millisecond, "the drain ends")
	for _, conn := range conns[inFlight/2:] {
		round.record(finish(conn))
	}
	round.whole = time.Since(began)
	r.untilEnded(t)
	round.record(r.ended)
	return round
}

// reviewWhileDraining sends a review to a replica that drains. It returns an error if the replica does not report that it
// drains, or does not admit the Pod.
func reviewWhileDraining(r *replica, client *http.Client) error {
	if err := ready(r.http); err == nil || err.Error() != "503 Service Unavailable: draining" {
		return fmt.Errorf("the replica does not report that it drains: %w", err)
	}
	got, _, err := r.send(client, "/mutate", goodReview)
	if err == nil && !got.Response.Allowed {
		err = fmt.Errorf("a good review is denied: %+v", got)
	}
	return err
}

// finish sends the second half of a review, and returns an error unless the Pod is admitted.
func finish(conn net.Conn) error {
	if _, err := io.WriteString(conn, goodReview[len(goodReview)/2:]); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	text, err := io.ReadAll(bufio.NewReader(conn)) // A server that drains closes the connection after the response.
	if err == nil && (!strings.HasPrefix(string(text), "HTTP/1.1 200 OK") || !strings.Contains(string(text), `"allowed":true`)) {
		err = fmt.Errorf("a good review is denied: %s", text)
	}
	return err
}
