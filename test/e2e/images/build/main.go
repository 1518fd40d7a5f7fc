// Command build prints the paths of the archives with the end-to-end tests' images. It builds what the cache does not have.
//
// Paths go to standard output, the notebooks' first; progress goes to standard error.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	archives, err := images.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Println(archives.Notebooks)
	fmt.Println(archives.Webhook)
	return nil
}
