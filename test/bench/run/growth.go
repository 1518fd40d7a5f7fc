package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
	"jupyter-user.io/jupyter-user-webhook/test/bench/pods"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
)

// measureGrowth measures how the time of a review grows with the number of users in a passwd file, and with the number of
// containers or volumes of the Pod. It calls the handler in process, because the cost of a connection does not grow with
// these numbers.
func measureGrowth(_ context.Context, counts repetitions, r *report) error {
	if err := growUsers(counts, r); err != nil {
		return err
	}
	ours, err := handlers.Webhook(handlers.KnownUser)
	if err != nil {
		return err
	}
	for _, n := range []int{1, 2, 5, 10, 20, 50, 100, 200} {
		for line, pod := range map[string][]byte{
			"containers": pods.JSON(pods.WithContainers("alice", n, 2)), "volumes": pods.JSON(pods.WithContainers("alice", 1, max(n, 2))),
		} {
			if line == "volumes" && n < 2 {
				continue // Every Pod has at least two volumes.
			}
			took, err := inProcess(ours, counts, pods.Review(pod, "alice"))
			if err != nil {
				return err
			}
			r.plot("pod", line, float64(n), took)
			if n == 200 {
				r.add(row{Part: "growth", Measure: fmt.Sprintf("200 %s ÷ %g", line, r.Points["pod"][line][0].X), Value: took / r.Points["pod"][line][0].Y})
			}
		}
	}
	return nil
}

func growUsers(counts repetitions, r *report) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	for _, n := range []int{1, 10, 100, 1_000, 10_000, 100_000} {
		var lines strings.Builder
		for i := range n {
			fmt.Fprintf(&lines, "%s:x:%d:%d::/home/x:/bin/sh\n", pods.User(i), 2000+i, 2000+i)
		}
		file := filepath.Join(dir, "passwd")
		if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
			return err
		}
		known, err := passwd.Open(passwd.Options{Passwd: file})
		if err != nil {
			return err
		}
		ours, err := handlers.Webhook(known)
		if err != nil {
			return err
		}
		user := pods.User(n - 1)
		took, err := inProcess(ours, counts, pods.Review(pods.JSON(pods.Small(user)), user))
		if err != nil {
			return err
		}
		r.plot("users", "known users", float64(n), took)
	}
	points := r.Points["users"]["known users"]
	r.add(row{Part: "growth", Measure: "100,000 known users ÷ 1", Value: points[len(points)-1].Y / points[0].Y})
	return nil
}

// inProcess returns the median time of one review, in microseconds.
func inProcess(handler http.Handler, counts repetitions, body []byte) (float64, error) {
	took, err := timed(handlers.NewCaller(handler, [][]byte{body}), counts.requests, `"patch"`)
	return float64(took.Nanoseconds()) / 1000, err
}
