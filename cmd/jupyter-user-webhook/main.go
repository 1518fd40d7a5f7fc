// Command jupyter-user-webhook makes a Pod that is labelled jupyter-user=<name> run as that user, with that user's home.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errDenied gives the exit status 1 without a further message: the command has already written the reason.
var errDenied = errors.New("denied")

// run runs a command line and returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(stderr)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case errors.Is(err, errDenied), errors.Is(err, check.ErrFailed):
		return 1
	default:
		_, _ = fmt.Fprintln(stderr, "Error:", err)
		return 2
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "jupyter-user-webhook",
		Short:         "One label makes a Pod run as a user, with that user's home",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), rotateCommand(), injectCommand(), checkCommand(), homesCommand(), versionCommand())
	return root
}
