package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
	"jupyter-user.io/jupyter-user-webhook/test/bench/pods"
)

// measured has the figures of one server for one batch of requests: the median response time (p50), the processor time for
// each request, and the rate.
type measured struct {
	p50 time.Duration
	cpu time.Duration
	// rate is the number of requests per second.
	rate float64
}

// turns has the figures of each server, by the server's name and the number of the round.
type turns map[string][]measured

// ratio returns the median, over the rounds, of a figure of server a divided by the same figure of server b.
func (t turns) ratio(a, b string, figure func(measured) float64) float64 {
	ratios := make([]float64, len(t[a]))
	for i := range ratios {
		ratios[i] = figure(t[a][i]) / figure(t[b][i])
	}
	return median(ratios)
}

func (t turns) median(server string, figure func(measured) float64) float64 {
	figures := make([]float64, len(t[server]))
	for i := range figures {
		figures[i] = figure(t[server][i])
	}
	return median(figures)
}

func p50(m measured) float64   { return m.p50.Seconds() * 1000 }
func cpuOf(m measured) float64 { return m.cpu.Seconds() * 1000 }
func rate(m measured) float64  { return m.rate }

// fleet has the server processes, by the name of their handler.
type fleet map[string]*serverProcess

func startFleet(ctx context.Context, http2 bool) (fleet, func() error, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	all := fleet{}
	stop := func() error {
		errs := []error{os.RemoveAll(dir)}
		for _, s := range all {
			errs = append(errs, s.stop())
		}
		return errors.Join(errs...)
	}
	if err := certificate(dir); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	for _, name := range handlers.Names() {
		s, err := start(ctx, name, dir, "127.0.0.1:0", http2)
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		all[name] = s
	}
	return all, stop, nil
}

// rounds sends one batch of requests to each server in each round, with a random order of the servers.
func (f fleet) rounds(ctx context.Context, counts repetitions, callers int, bodies [][]byte) (turns, error) {
	all := turns{}
	names := handlers.Names()
	for round := range counts.rounds + 1 {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			m, err := f[name].turn(ctx, counts.requests, callers, bodies)
			if err != nil {
				return nil, err
			}
			if round > 0 { // The first round opens connections and fills caches, so it is not counted.
				all[name] = append(all[name], m)
			}
		}
	}
	return all, nil
}

// turn sends a batch of requests to the server, from a number of concurrent callers, and returns the server's figures.
func (s *serverProcess) turn(ctx context.Context, requests, callers int, bodies [][]byte) (measured, error) {
	before, err := s.usage(ctx)
	if err != nil {
		return measured{}, err
	}
	took := make([]float64, requests)
	errs := make([]error, callers)
	began := time.Now()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := caller; i < requests && errs[caller] == nil; i += callers {
				var t time.Duration
				t, errs[caller] = s.post(ctx, "/mutate", bytes.NewReader(bodies[i%len(bodies)]))
				took[i] = float64(t)
			}
		})
	}
	all.Wait()
	whole := time.Since(began)
	after, err := s.usage(ctx)
	return measured{
		p50: time.Duration(median(took)), cpu: (after.CPU - before.CPU) / time.Duration(requests),
		rate: float64(requests) / whole.Seconds(),
	}, errors.Join(append(errs, err)...)
}

func bodiesOf(size string) (bodies [][]byte) {
	for i := range 16 {
		bodies = append(bodies, pods.Review(pods.JSON(pods.Sizes()[size](pods.User(i))), pods.User(i)))
	}
	return bodies
}

// loopbackHTTP1 is the name of the part of the report's table whose figures writePeers shows beside those of other webhooks.
const loopbackHTTP1 = "loopback HTTP/1.1"

// usualPrefix begins the names of the rows about handlers.Usual.
const usualPrefix = "the usual way, "

func measureLoopback(ctx context.Context, counts repetitions, r *report) error {
	const h2 = "loopback HTTP/2"
	all, stop, err := startFleet(ctx, false)
	if err != nil {
		return err
	}
	found, err := all.bySize(ctx, counts)
	if err == nil {
		small, large, many := found["6KB"], found["60KB"], found["1500env"]
		r.add(
			row{Part: loopbackHTTP1, Measure: "p50 ÷ empty, 6 KB", Value: small.ratio(handlers.Ours, handlers.Empty, p50), Gate: 1, Stretch: .8},
			row{Part: loopbackHTTP1, Measure: "p50 ÷ empty, 60 KB", Value: large.ratio(handlers.Ours, handlers.Empty, p50), Gate: .75, Stretch: .5},
			row{Part: loopbackHTTP1, Measure: "p50 ÷ floor, 6 KB", Value: small.ratio(handlers.Ours, handlers.Floor, p50), Gate: 2.3, Stretch: 1.7},
			row{Part: loopbackHTTP1, Measure: "CPU ÷ empty, 6 KB", Value: small.ratio(handlers.Ours, handlers.Empty, cpuOf), Gate: 1, Stretch: .65},
			row{Part: loopbackHTTP1, Measure: "CPU ÷ empty, 60 KB", Value: large.ratio(handlers.Ours, handlers.Empty, cpuOf), Gate: 1, Stretch: .65},
			row{Part: loopbackHTTP1, Measure: "1,500 variables ÷ 6 KB", Value: many.median(handlers.Ours, p50) / small.median(handlers.Ours, p50), Gate: 12, Stretch: 8},
			row{Part: loopbackHTTP1, Measure: usualPrefix + "p50 ÷ ours, 6 KB", Value: small.ratio(handlers.Usual, handlers.Ours, p50)},
			row{Part: loopbackHTTP1, Measure: usualPrefix + "p50 ÷ ours, 60 KB", Value: large.ratio(handlers.Usual, handlers.Ours, p50)},
			row{Part: loopbackHTTP1, Measure: usualPrefix + "p50 ÷ empty, 6 KB", Value: small.ratio(handlers.Usual, handlers.Empty, p50)},
			row{Part: loopbackHTTP1, Measure: usualPrefix + "p50 ÷ empty, 60 KB", Value: large.ratio(handlers.Usual, handlers.Empty, p50)},
			row{Part: loopbackHTTP1, Measure: usualPrefix + "CPU ÷ empty, 6 KB", Value: small.ratio(handlers.Usual, handlers.Empty, cpuOf)},
			row{Part: loopbackHTTP1, Measure: "p50 of ours, 6 KB", Value: small.median(handlers.Ours, p50), Unit: "ms"},
			row{Part: loopbackHTTP1, Measure: "p50 of ours, 60 KB", Value: large.median(handlers.Ours, p50), Unit: "ms"},
		)
	}
	for _, callers := range []int{1, 2, 4, 8, gatedCallers, 32, 64} {
		if err != nil {
			break
		}
		err = all.byCallers(ctx, counts, callers, r)
	}
	if err == nil {
		err = all.memoryAndStart(ctx, r)
	}
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	all, stop, err = startFleet(ctx, true)
	if err != nil {
		return err
	}
	small, err := all.rounds(ctx, counts, 1, bodiesOf("6KB"))
	if err == nil {
		r.add(row{Part: h2, Measure: "p50 ÷ empty, 6 KB, where it would be offered", Value: small.ratio(handlers.Ours, handlers.Empty, p50)})
	}
	return errors.Join(err, stop())
}

func (f fleet) bySize(ctx context.Context, counts repetitions) (map[string]turns, error) {
	found := map[string]turns{}
	for size := range pods.Sizes() {
		reduced := counts
		if size == "1500env" {
			reduced.requests = counts.requests / 5
		}
		t, err := f.rounds(ctx, reduced, 1, bodiesOf(size))
		if err != nil {
			return nil, err
		}
		found[size] = t
	}
	return found, nil
}

// gatedCallers is the number of concurrent callers for which there is a gate.
const gatedCallers = 16

func (f fleet) byCallers(ctx context.Context, counts repetitions, callers int, r *report) error {
	if callers == gatedCallers {
		counts.rounds *= 4 // The ratio of one round varies by a quarter.
	} else {
		counts.rounds = counts.rounds/3 + 1
	}
	t, err := f.rounds(ctx, counts, callers, bodiesOf("6KB"))
	if err != nil {
		return err
	}
	for _, name := range handlers.Names() {
		r.plot("callers", name, float64(callers), t.median(name, rate))
	}
	w := row{Part: loopbackHTTP1, Measure: fmt.Sprintf("requests/s with %d callers ÷ empty", callers),
		Value: t.ratio(handlers.Ours, handlers.Empty, rate), AtLeast: true}
	switch callers {
	case gatedCallers:
		w.Gate, w.Stretch = 1.1, 1.4
		r.add(w)
	case 64:
		r.add(w)
	}
	return nil
}

// memoryAndStart reports the peak resident memory of the servers of handlers.Ours and handlers.Empty after the measurements
// over HTTP/1.1, and the time that each takes to start.
func (f fleet) memoryAndStart(ctx context.Context, r *report) error {
	usages := map[string]usage{}
	for name, s := range f {
		u, err := s.usage(ctx)
		if err != nil {
			return err
		}
		usages[name] = u
	}
	ours, empty := float64(usages[handlers.Ours].Resident), float64(usages[handlers.Empty].Resident)
	started := map[string][]float64{}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := certificate(dir); err != nil {
		return err
	}
	for range 7 {
		for _, name := range []string{handlers.Ours, handlers.Empty} {
			s, err := start(ctx, name, dir, "127.0.0.1:0", false)
			if err != nil {
				return err
			}
			started[name] = append(started[name], s.started.Seconds()*1000)
			if err := s.stop(); err != nil {
				return err
			}
		}
	}
	const part = "process"
	r.add(
		row{Part: part, Measure: "memory ÷ empty, after the load", Value: ours / empty, Gate: 1.15},
		row{Part: part, Measure: "start ÷ empty", Value: median(started[handlers.Ours]) / median(started[handlers.Empty]), Gate: 1.5},
		row{Part: part, Measure: "memory of ours", Value: ours / (1 << 20), Unit: "MiB"},
		row{Part: part, Measure: "start of ours, to the first answer", Value: median(started[handlers.Ours]), Unit: "ms"},
	)
	return nil
}
