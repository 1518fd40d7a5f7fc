package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
)

// measureInProcess measures the time of a review, without a connection, and its allocations.
func measureInProcess(_ context.Context, counts repetitions, r *report) error {
	const part = "in process"
	for _, sizeName := range []string{"6 KB", "60 KB"} {
		size := strings.ReplaceAll(sizeName, " ", "")
		all := turns{}
		callers := map[string]*handlers.Caller{}
		names := handlers.Names()
		for _, name := range names {
			handler, err := handlers.New(name)
			if err != nil {
				return err
			}
			callers[name] = handlers.NewCaller(handler, bodiesOf(size))
		}
		for range counts.rounds {
			rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			for _, name := range names {
				took, err := timed(callers[name], counts.requests, `"allowed":true`)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				all[name] = append(all[name], measured{p50: took})
			}
		}
		r.add(
			row{Part: part, Measure: "p50 ÷ empty, " + sizeName, Value: all.ratio(handlers.Ours, handlers.Empty, p50)},
			row{Part: part, Measure: usualPrefix + "p50 ÷ ours, " + sizeName, Value: all.ratio(handlers.Usual, handlers.Ours, p50)},
			row{Part: part, Measure: "p50 of ours, " + sizeName, Value: 1000 * all.median(handlers.Ours, p50), Unit: "µs"},
		)
	}
	return countAllocations(r)
}

// timed returns the median time of a number of calls. Each response must contain the expected text.
func timed(c *handlers.Caller, calls int, expected string) (time.Duration, error) {
	took := make([]float64, calls)
	for i := range took {
		began := time.Now()
		c.Call()
		took[i] = float64(time.Since(began))
		if !bytes.Contains(c.Response.Bytes(), []byte(expected)) {
			return 0, fmt.Errorf("the response does not contain %s: %s", expected, &c.Response)
		}
	}
	return time.Duration(median(took)), nil
}

// countAllocations counts the allocations of repeated reviews of one Pod, as TestAllocations does.
func countAllocations(r *report) error {
	for _, name := range []string{handlers.Ours, handlers.Empty, handlers.Usual} {
		handler, err := handlers.New(name)
		if err != nil {
			return err
		}
		c := handlers.NewCaller(handler, bodiesOf("6KB")[:1])
		w := row{Part: "in process", Measure: "allocations of " + name + ", 6 KB", Value: testing.AllocsPerRun(200, c.Call)}
		if name == handlers.Ours {
			w.Gate, w.Stretch = 150, 60
		}
		r.add(w)
	}
	return nil
}
