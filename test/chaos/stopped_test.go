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

// TestStoppedWhileAnswering asks servers to stop that have sixteen reviews half read. Half of these go on while the server drains,
// the others only when nobody gets in any more. Each review that is in is answered, each that comes while the server drains is too,
// and readiness has gone before the first is turned away.
func TestStoppedWhileAnswering(t *testing.T) {
	var asked, answered atomic.Int32
	t.Run("rounds", func(t *testing.T) {
		for n := range played.stops {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				round := stopWhileAnswering(t)
				if len(round.lost) > 0 && round.late() && slow(t, round.machine, "reviews that did not arrive before the drain was over") {
					return
				}
				for _, err := range round.lost {
					assert.NoError(t, err, "a review is lost")
				}
				asked.Add(inFlight + 1)
				answered.Add(inFlight + 1 - int32(len(round.lost)))
			})
		}
	})
	report(t, "0 lost, not ready first", "%d stops, %d reviews in flight or come while draining, %d lost", played.stops, asked.Load(),
		asked.Load()-answered.Load())
}

const (
	inFlight = 16
	// drainTime is what the servers are told.
	drainTime = 2 * time.Second
	// bodyTime is what a server gives a request to arrive whole.
	bodyTime = 10 * time.Second
)

// A stopRound is one server that was stopped.
type stopRound struct {
	machine *machine.Watch
	// lost says what became of each review that got no right answer.
	lost []error
	// whole is how long the requests took to arrive whole, and draining how long the last took that came while the server drained.
	whole, draining time.Duration
}

// late reports whether this side was too slow for the server to answer everything.
func (r stopRound) late() bool { return r.whole > bodyTime || r.draining > drainTime }

func (r *stopRound) note(err error) {
	if err != nil {
		r.lost = append(r.lost, err)
	}
}

func stopWhileAnswering(t *testing.T) (round stopRound) {
	t.Helper()
	round.machine = machine.For(t)
	r, client := alone(t, "--drain="+drainTime.String())
	began := time.Now()
	conns := make([]net.Conn, inFlight)
	for i := range conns {
		conns[i] = r.dial(t)
		_, err := fmt.Fprintf(conns[i], "%sContent-Length: %d\r\n\r\n%s", beforeEnd, len(goodReview), goodReview[:len(goodReview)/2])
		require.NoError(t, err)
	}

	r.signal(t, syscall.SIGTERM)
	stopped := time.Now()
	require.Eventually(t, func() bool { return ready(r.http) != nil }, wait, time.Millisecond)
	round.note(whileDraining(r, client))
	for _, conn := range conns[:inFlight/2] {
		round.note(finish(conn))
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
		round.note(finish(conn))
	}
	round.whole = time.Since(began)
	r.untilEnded(t)
	round.note(r.ended)
	return round
}

// whileDraining asks a server that is draining, which is not ready and answers all the same.
func whileDraining(r *replica, client *http.Client) error {
	if err := ready(r.http); err == nil || err.Error() != "503 Service Unavailable: draining" {
		return fmt.Errorf("it is not ready first: %w", err)
	}
	answer, _, err := r.ask(client, "/mutate", goodReview)
	if err == nil && !answer.Response.Allowed {
		err = fmt.Errorf("it is not right: %+v", answer)
	}
	return err
}

// finish sends the second half of a review and returns what is wrong with the answer.
func finish(conn net.Conn) error {
	if _, err := io.WriteString(conn, goodReview[len(goodReview)/2:]); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	text, err := io.ReadAll(bufio.NewReader(conn)) // The server closes the connection: it is draining.
	if err == nil && (!strings.HasPrefix(string(text), "HTTP/1.1 200 OK") || !strings.Contains(string(text), `"allowed":true`)) {
		err = fmt.Errorf("it is not right: %s", text)
	}
	return err
}
