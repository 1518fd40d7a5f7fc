// Command demo shows the webhook at work on a real control plane on this machine: a user who is no admin types kubectl
// run with a label, and the Pod that comes out is shown beside the Pod that went in.
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
		fmt.Println("\nEverything is taken down again.")
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run plays the demo and takes everything down again, however it ends.
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
