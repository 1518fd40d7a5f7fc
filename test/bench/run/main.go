// Command run measures the webhook and other handlers in process, over HTTPS on loopback, end to end, and with growing Pods
// and numbers of users. It writes a Markdown table and a JSON file, which also has the points of the plots. make bench runs
// this command after go test -bench.
//
// Each webhook server is a process of this program. The servers that are compared take turns, in another order in each
// round. Most ratios are computed within a round, and the median over all rounds is reported. A machine that is slow for a
// while is slow for all servers of a round, so their ratios change little.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	out := flag.String("out", "test/bench/results", "folder for results.md and results.json, which also has the points of the plots")
	quick := flag.Bool("quick", false, "send fewer requests: the figures are imprecise")
	only := flag.String("only", "", "inprocess, loopback, endtoend or growth alone")
	revision := flag.String("revision", "unknown", "the commit of the webhook, for the table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *only, *revision, *quick); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// repetitions are numbers of repetitions. In each round, requests is the number of reviews for each server, and creates is
// the number of Pods for each namespace. comparedRequests is the number of requests in each of two compared namespaces, for
// the measurement of the API server's processor time.
type repetitions struct {
	rounds, requests, creates, comparedRequests int
}

func run(ctx context.Context, out, only, revision string, quick bool) error {
	counts := repetitions{rounds: 15, requests: 300, creates: 25, comparedRequests: 6000}
	if quick {
		counts = repetitions{rounds: 3, requests: 60, creates: 5, comparedRequests: 100}
	}
	r := newReport(quick)
	r.Versions["jupyter-user-webhook"] = revision
	for _, part := range []struct {
		name    string
		measure func(context.Context, repetitions, *report) error
	}{
		{"inprocess", measureInProcess}, {"loopback", measureLoopback}, {"endtoend", measureEndToEnd}, {"growth", measureGrowth},
	} {
		if only != "" && only != part.name {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", part.name)
		if err := part.measure(ctx, counts, r); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	r.end()
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	written, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "results.json"), append(written, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Print(r.markdown())
	return os.WriteFile(filepath.Join(out, "results.md"), []byte(r.markdown()), 0o644)
}
