// Command demo runs the webhook with a real control plane on this machine. A user who is no admin types kubectl run with the label. The
// demo prints the Pod as submitted beside the Pod as admitted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	binary := flag.String("webhook", "bin/jupyter-user-webhook", "the webhook's program")
	keep := flag.Bool("keep", false, "leave everything running until Ctrl-C")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, &demo{binary: *binary, keep: *keep, out: os.Stdout})
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Println("\nEverything was removed.")
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run runs all steps of the demo. It stops everything at the end, also after an error.
func run(ctx context.Context, d *demo) (err error) {
	defer func() { err = errors.Join(err, d.end()) }()
	for _, act := range []func(context.Context) error{
		d.start, d.serve, d.furnish, d.admitted, d.greedy, d.another, d.linger,
	} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}
