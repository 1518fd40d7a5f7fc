package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openHead is the head of a request without the empty line that ends it.
const openHead = "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

// TestStalledConnections opens 300 connections that send a part of a body and 300 that send a part of a head, and then
// nothing more. The server closes them in time. Other clients hardly wait longer than usual.
func TestStalledConnections(t *testing.T) {
	const each = 300
	r, client := startAlone(t)
	beginLoad(fewCallers, 50, 50, r.reviewing(client)).end().assertWhole(t)
	normal := beginLoad(fewCallers, 50, 200, r.reviewing(client)).end()
	normal.assertWhole(t)

	stalled := make([]net.Conn, 0, 2*each)
	for n := range 2 * each {
		conn := r.dial(t)
		sent := openHead + "Content-Length: 1000\r\n\r\n{\"kind\":"
		if n%2 == 0 {
			sent = openHead
		}
		_, err := io.WriteString(conn, sent)
		require.NoError(t, err)
		stalled = append(stalled, conn)
	}
	began := time.Now() // The last connection begins to stall now.
	good := startLoad(50, r.reviewing(client))
	var closing sync.WaitGroup
	for n, conn := range stalled {
		closing.Go(func() { assert.NoError(t, untilClosed(conn, began.Add(wait)), "connection %d", n) })
	}
	closing.Wait()
	closed := time.Since(began)
	beside := good.stop()
	beside.assertWhole(t)

	peak := r.memory(t, "VmHWM")
	assert.Less(t, peak, float64(maxMemory), "MiB")
	// If the normal time is very short, three times the normal time is within the noise.
	within(t, beside.machine, beside.percentile(99), max(3*normal.percentile(99), 100*time.Millisecond), "p99 beside stalled connections")
	within(t, beside.machine, closed, 15*time.Second, "closing the stalled connections")
	report(t, "closed within 15 s, good p99 < 3 × normal, < 100 MiB", "all closed after %.1f s, p99 %s beside them and %s without, at most %.0f "+
		"MiB", closed.Seconds(), milliseconds(beside.percentile(99)), milliseconds(normal.percentile(99)), peak)
}

// untilClosed waits until the other side closes the connection.
func untilClosed(conn net.Conn, limit time.Time) error {
	if err := conn.SetReadDeadline(limit); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the connection is still open: %w", err)
	}
	return nil // A reset connection is closed too.
}
