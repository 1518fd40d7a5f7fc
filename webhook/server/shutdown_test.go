package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// blockingEdge is an edge that blocks requests with the header "Held" until release is closed.
type blockingEdge struct {
	*edge
	arrived, release chan struct{}
}

func (b blockingEdge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Held") != "" {
		b.arrived <- struct{}{}
		<-b.release
	}
	b.edge.ServeHTTP(w, r)
}

// TestShutdownLosesNoReview stops servers with sixteen running reviews, while sixteen clients continue to send reviews, as
// API servers do until they know about the stop.
func TestShutdownLosesNoReview(t *testing.T) {
	for round := range 4 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			edge := blockingEdge{newEdge(t, nil), make(chan struct{}), make(chan struct{})}
			over := make(chan time.Time)
			r := startDraining(t, edge, over)
			client := r.client(t)
			ask := func(hold string) (closes bool, err error) {
				req, err := http.NewRequest(http.MethodPost, r.mutateURL(), strings.NewReader(review(notebook)))
				if err != nil {
					return false, err
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Held", hold)
				response, err := client.Do(req)
				if err != nil {
					return false, err
				}
				body, err := io.ReadAll(response.Body)
				if err == nil && !strings.Contains(string(body), `"patchType":"JSONPatch"`) {
					err = fmt.Errorf("%s: %.300s", response.Status, body)
				}
				return response.Close, err
			}

			const callers = 16
			var waiting, calling sync.WaitGroup
			for range callers {
				waiting.Go(func() {
					_, err := ask("yes")
					assert.NoError(t, err, "a running review is lost")
				})
			}
			for range callers {
				<-edge.arrived
			}

			draining := make(chan struct{})
			for range callers {
				calling.Go(func() {
					for {
						closes, err := ask("")
						assert.NoError(t, err, "a review is lost")
						if err != nil {
							return
						}
						select {
						case <-draining:
							if closes {
								return
							}
						default:
							assert.True(t, !closes || r.Ready(nil) != nil, "no connection is closed before the end")
						}
					}
				})
			}
			r.stop()
			require.Eventually(t, func() bool { return r.Ready(nil) != nil }, machine.Patience, time.Millisecond)
			assert.EqualError(t, r.Ready(nil), "draining")
			close(draining)
			calling.Wait() // Each client ends at a response that closes the connection.

			for range callers {
				closes, err := ask("")
				assert.NoError(t, err, "a new review is lost")
				assert.True(t, closes)
			}
			close(over)
			// After the drain no client can connect.
			require.Eventually(t, func() bool {
				conn, err := net.Dial("tcp", r.address)
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			}, machine.Patience, 10*time.Millisecond)
			select {
			case err := <-r.ended:
				t.Errorf("the server has ended before its last response: %v", err)
			default:
			}
			close(edge.release)
			waiting.Wait()
			assert.NoError(t, <-r.ended)
		})
	}
}

// TestDrainDuration tests that the server drains even without requests, because a request can still come.
func TestDrainDuration(t *testing.T) {
	const drain = 300 * time.Millisecond
	r := start(t, newEdge(t, nil), drain)
	began := time.Now()
	r.stop()
	require.NoError(t, <-r.ended)
	assert.GreaterOrEqual(t, time.Since(began), drain)
	assert.Len(t, r.log.Lines(t, "draining"), 1)
}

// TestDrainServesIdleConnection tests that an idle connection still gets one response during the drain, and that this
// response closes the connection.
func TestDrainServesIdleConnection(t *testing.T) {
	over := make(chan time.Time)
	r := startDraining(t, newEdge(t, nil), over)
	client := r.client(t)
	ask := func() *http.Response {
		response, err := client.Post(r.mutateURL(), "application/json", strings.NewReader(review(notebook)))
		require.NoError(t, err)
		assert.True(t, read(t, response).Response.Allowed)
		require.NoError(t, response.Body.Close())
		return response
	}
	assert.False(t, ask().Close)
	r.stop()
	require.Eventually(t, func() bool { return r.Ready(nil) != nil }, machine.Patience, time.Millisecond)
	assert.True(t, ask().Close)
	close(over)
	assert.NoError(t, <-r.ended)
}
