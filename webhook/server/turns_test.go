package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
)

// TestLargeBodiesWait tests that small bodies are served while the budget is used up, and that large bodies wait for a limited
// time.
func TestLargeBodiesWait(t *testing.T) {
	arrived, release := make(chan struct{}, 3), make(chan struct{})
	log := &journal.Journal{}
	handler := limitLargeBodies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Held") != "" {
			arrived <- struct{}{}
			<-release
		}
	}), slog.New(slog.NewJSONHandler(log, nil)))
	ask := func(body io.Reader, hold string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/mutate", body)
		r.Header.Set("Held", hold)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	var inside sync.WaitGroup
	for range 2 {
		inside.Go(func() { assert.Equal(t, 200, ask(strings.NewReader(strings.Repeat("x", 2<<20)), "yes").Code) })
	}
	<-arrived
	<-arrived

	for name, body := range map[string]io.Reader{
		"with its length": strings.NewReader(strings.Repeat("x", 65<<10)),
		"in chunks":       io.MultiReader(strings.NewReader("x")),
		"too large":       strings.NewReader(strings.Repeat("x", 8<<20)),
	} {
		began := time.Now()
		response := ask(body, "")
		assert.Equal(t, 503, response.Code, name)
		assert.Equal(t, "too many large Pods are being created at once: try again\n", response.Body.String())
		assert.GreaterOrEqual(t, time.Since(began), 500*time.Millisecond, name)
	}
	assert.Equal(t, 200, ask(strings.NewReader(strings.Repeat("x", 64<<10)), "").Code, "a small body does not wait")
	require.Len(t, log.Lines(t, "too many large reviews at once"), 3)

	waits := make(chan int, 1)
	go func() { waits <- ask(strings.NewReader(strings.Repeat("x", 1<<20)), "").Code }()
	close(release)
	inside.Wait()
	assert.Equal(t, 200, <-waits, "a waiting body gets the budget that becomes free")
	assert.Equal(t, 200, ask(strings.NewReader(strings.Repeat("x", 4<<20)), "").Code, "the whole budget is free again")
}
