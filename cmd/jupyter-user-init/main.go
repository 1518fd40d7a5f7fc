// Command jupyter-user-init is what runs of this project inside of a pod.
//
// As the init container (discover) it finds the owner of the person's home and writes down who that is. In front of
// whatever a notebook container runs that starts as root (exec), it becomes that person, and only then runs it. It
// parses what it reads, runs no shell, and does no more as root than these few system calls.
package main

import (
	"errors"
	"fmt"
	"os"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// terminationLog is where Kubernetes takes the last words of a container from, for kubectl describe.
const terminationLog = "/dev/termination-log"

func main() {
	if err := run(os.Args[1:]); err != nil {
		lastWords(err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: discover or exec (the webhook writes the command line into the pod)")
	}
	switch args[0] {
	case "discover":
		d, err := handoff.ParseDiscover(args)
		if err != nil {
			return fmt.Errorf("the command line is not one of the webhook's: %w", err)
		}
		return discover(d)
	case "exec":
		e, err := handoff.ParseExec(args)
		if err != nil {
			return fmt.Errorf("the command line is not one of the webhook's: %w", err)
		}
		return become(e)
	}
	return fmt.Errorf("%q is neither discover nor exec", args[0])
}

// lastWords tells a failure where people look: in the log, and in kubectl describe.
func lastWords(err error) {
	text := "jupyter-user-init: " + err.Error() + "\n"
	_, _ = os.Stderr.WriteString(text)
	// A hook or a probe is not the container's last.
	if os.Getpid() != 1 {
		return
	}
	if f, err := os.OpenFile(terminationLog, os.O_WRONLY|os.O_TRUNC, 0); err == nil {
		_, _ = f.WriteString(text)
		_ = f.Close()
	}
}
