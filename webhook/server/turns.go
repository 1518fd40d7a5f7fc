package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// largeBodyBudget is how many bytes of large bodies are reviewed at once. A review takes many times its body while it is read
	// and decided, so without a limit whoever may create pods could have every replica killed for its memory: 64 pods of 3 MiB at
	// once took 1.4 GiB.
	largeBodyBudget = maxBody
	// smallBodySize needs no room, so that nobody's notebook waits for another's megabytes. Pods have a few KiB.
	smallBodySize = 64 << 10
	// turnTimeout is how long a large body waits for room, of the second in which every review is answered.
	turnTimeout = 500 * time.Millisecond
	// largeBodyTimeout is how long a large body may take to arrive while it keeps others from having the room. An API server sends
	// it at once.
	largeBodyTimeout = 2 * time.Second
)

// limitLargeBodies reviews large bodies by turns. Who does not get a turn in time is told to come again.
func limitLargeBodies(next http.Handler, log *slog.Logger) http.Handler {
	room := semaphore.NewWeighted(largeBodyBudget)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := r.ContentLength
		if size < 0 || size > largeBodyBudget { // In chunks, or refused after its first part.
			size = largeBodyBudget
		}
		if size > smallBodySize {
			ctx, cancel := context.WithTimeout(r.Context(), turnTimeout)
			err := room.Acquire(ctx, size)
			cancel()
			if err != nil {
				log.WarnContext(r.Context(), "too many large reviews at once", "from", r.RemoteAddr, "bytes", r.ContentLength)
				// Read, so that whoever sends it gets to the answer, and not kept. What is not read to its end is not answered either.
				_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
				http.Error(w, "too many large Pods are being created at once: try again", http.StatusServiceUnavailable)
				return
			}
			defer room.Release(size)
			// Only a connection has a deadline; the stand-ins of tests have none.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(largeBodyTimeout))
		}
		next.ServeHTTP(w, r)
	})
}
