package chaos

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStoppedWhileAnswering asks servers to stop that have sixteen reviews half read. Half of these go on while the server drains,
// the others only when nobody gets in any more. Whoever is in is answered, whoever comes while it drains is too, and readiness
// has gone before the first is turned away.
func TestStoppedWhileAnswering(t *testing.T) {
	var answered atomic.Int32
	t.Run("rounds", func(t *testing.T) {
		for n := range played.stops {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				stopWhileAnswering(t, &answered)
			})
		}
	})
	asked := played.stops * (inFlight + 1)
	assert.EqualValues(t, asked, answered.Load())
	report(t, "0 lost, not ready first", "%d stops, %d reviews in flight or come while draining, %d lost", played.stops, asked,
		asked-int(answered.Load()))
}

const inFlight = 16

func stopWhileAnswering(t *testing.T, answered *atomic.Int32) {
	t.Helper()
	r, client := alone(t, "--drain=1s")
	half := len(goodReview) / 2
	conns := make([]net.Conn, inFlight)
	for i := range conns {
		conns[i] = r.dial(t)
		_, err := fmt.Fprintf(conns[i], "%sContent-Length: %d\r\n\r\n%s", beforeEnd, len(goodReview), goodReview[:half])
		require.NoError(t, err)
	}
	finish := func(conn net.Conn) {
		_, err := io.WriteString(conn, goodReview[half:])
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(wait)))
		text, err := io.ReadAll(bufio.NewReader(conn)) // The server closes it: it is draining.
		require.NoError(t, err)
		if assert.True(t, strings.HasPrefix(string(text), "HTTP/1.1 200 OK") && strings.Contains(string(text), `"allowed":true`), "%s", text) {
			answered.Add(1)
		}
	}

	r.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool { return ready(r.http) != nil }, wait, time.Millisecond)
	assert.EqualError(t, ready(r.http), "503 Service Unavailable: draining")
	answer, _, err := r.ask(client, "/mutate", goodReview)
	require.NoError(t, err, "one who comes while it drains is lost")
	if answer.Response.Allowed {
		answered.Add(1)
	}
	for _, conn := range conns[:inFlight/2] {
		finish(conn)
	}
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", r.reviews)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, wait, 5*time.Millisecond, "the drain ends")
	for _, conn := range conns[inFlight/2:] {
		finish(conn)
	}
	r.untilEnded(t)
	assert.NoError(t, r.ended, r)
}
