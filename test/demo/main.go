// Command demo runs the webhook with a real control plane on this machine. A user who is no admin creates a Pod with the
// label jupyter-user. The demo prints the Pod as submitted beside the Pod as admitted.
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
	d := &demo{binary: *binary, keep: *keep, out: os.Stdout}
	err := run(ctx, d)
	interrupted := ctx.Err() != nil
	stop()
	if interrupted {
		err = nil // The error says only that the interrupted step has failed.
	}
	if err = errors.Join(err, d.end()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	if interrupted {
		fmt.Println("\nEverything was removed.")
	}
}

func run(ctx context.Context, d *demo) error {
	for _, act := range []func(context.Context) error{
		d.start, d.serve, d.createObjects, d.showAdmitted, d.showWholeShare, d.showOtherUser, d.awaitInterrupt,
	} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}
