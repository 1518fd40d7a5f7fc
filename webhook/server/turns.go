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
	// largeBodyBudget is the maximum total size, in bytes, of the large bodies that are reviewed at the same time. A review needs
	// many times the memory of its body, so without a limit a requester could get every replica killed for its memory use:
	// 64 Pods of 3 MiB together took 1.4 GiB.
	largeBodyBudget = maxBody
	// smallBodySize is the size, in bytes, up to which a body does not need the budget. The review of a usual Pod has a
	// few KiB, and so does not wait for large bodies.
	smallBodySize = 64 << 10
	// turnTimeout is the time that a large body waits for the budget. The whole review must take less than a second.
	turnTimeout = 500 * time.Millisecond
	// largeBodyTimeout is the time limit for the arrival of a large body that has its budget. An API server sends it without a
	// pause.
	largeBodyTimeout = 2 * time.Second
)

// limitLargeBodies makes large bodies wait for the budget. If the budget has no room for a body within turnTimeout, the
// request fails with status 503 and "try again".
func limitLargeBodies(next http.Handler, log *slog.Logger) http.Handler {
	budget := semaphore.NewWeighted(largeBodyBudget)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := r.ContentLength
		if size < 0 || size > largeBodyBudget { // unknown, or larger than maxBody and so denied later
			size = largeBodyBudget
		}
		if size > smallBodySize {
			ctx, cancel := context.WithTimeout(r.Context(), turnTimeout)
			err := budget.Acquire(ctx, size)
			cancel()
			if err != nil {
				log.WarnContext(r.Context(), "too many large reviews at once", "from", r.RemoteAddr, "bytes", r.ContentLength)
				// The body is read and dropped, because a client reads the response only after it has sent the whole body.
				_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
				http.Error(w, "too many large Pods are being created at once: try again", http.StatusServiceUnavailable)
				return
			}
			defer budget.Release(size)
			// Only a real connection supports a deadline; the recorders of tests do not.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(largeBodyTimeout))
		}
		next.ServeHTTP(w, r)
	})
}
