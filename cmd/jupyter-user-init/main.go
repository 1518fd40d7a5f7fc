// Command jupyter-user-init is what runs of this project inside of a pod.
//
// As the init container (discover) it finds the owner of the user's home and writes down who that is. In front of
// whatever a notebook container runs that starts as root (exec), it becomes that user, and only then runs it. It
// parses what it reads, runs no shell, and does no more as root than these few system calls.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// terminationLog is where Kubernetes takes the last words of a container from, for kubectl describe.
const terminationLog = "/dev/termination-log"

// version and commit are set by the linker, to the same as the webhook's.
var version, commit = "dev", ""

func main() {
	os.Exit(program(os.Args[1:], terminationLog))
}

// program is main with the file for its last words, and answers the exit status.
func program(args []string, log string) int {
	err := hide()
	if err == nil {
		err = run(args)
	}
	if err == nil {
		return 0
	}
	if !theContainersOwn(args, os.Getpid()) {
		log = ""
	}
	lastWords(err, log)
	if _, done := errors.AsType[notice](err); done {
		return 0
	}
	return 1
}

// hide keeps others off this process. kubectl exec into the init container has the UID of discover, and who is in the notebook
// container may have the one that exec becomes: without this, they could trace it, and have it write what they like. The
// kernel takes it back with the next execve, so Jupyter is its user's to look at as ever. /proc/self stays readable to oneself.
func hide() error {
	const setDumpable = 4 // PR_SET_DUMPABLE
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
		return fmt.Errorf("cannot keep others off this process: %w", errno)
	}
	return nil
}

// theContainersOwn tells whether this process is what the container runs, and no hook or probe in it, which leaves the
// container no last words. The init container has neither, and --image-start is given to a container's command alone. Any
// other command is known by being process 1, which it is not in a pod with shareProcessNamespace: there, kubectl logs has to do.
func theContainersOwn(args []string, pid int) bool {
	if pid == 1 || len(args) > 0 && args[0] == "discover" {
		return true
	}
	e, err := handoff.ParseExec(args)
	return err == nil && e.Image != nil
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: discover, exec or version (the webhook writes the command line into the pod)")
	}
	switch args[0] {
	case "discover":
		d, err := handoff.ParseDiscover(args)
		if err != nil {
			return notOurs(err)
		}
		return discover(d)
	case "exec":
		e, err := handoff.ParseExec(args)
		if err != nil {
			return notOurs(err)
		}
		return become(e)
	case "version":
		_, err := fmt.Println(strings.TrimSpace(version + " " + commit))
		return err
	}
	return notOurs(fmt.Errorf("%q is neither discover nor exec", args[0]))
}

// notOurs is said before anything is done. A webhook of a later release may ask for what this program has never heard of, and
// what it asks for may be what keeps the pod safe: half of it is not done.
func notOurs(err error) error {
	return fmt.Errorf("jupyter-user-init %s does not know this command line: %w. The webhook that wrote it is of another release "+
		"than this image, or it was written by hand: ask the admin to make init.image the image of the webhook itself", version, err)
}

// lastWords tells a failure where people look: in the log, and in kubectl describe, for which the kubelet has made a file.
func lastWords(err error, log string) {
	text := "jupyter-user-init: " + err.Error() + "\n"
	_, _ = os.Stderr.WriteString(text)
	//nolint:gosec // it is the one path above, outside of tests
	if f, err := os.OpenFile(log, os.O_WRONLY|os.O_TRUNC, 0); err == nil {
		_, _ = f.WriteString(text)
		_ = f.Close()
	}
}
