// Command jupyter-user-init is the program of this project that runs in the Pods of users.
//
// In the init container (discover) it finds the owner of the user's home and writes the files for the notebook container.
// In a notebook container that starts as root (exec), it changes to the owner's UID and GID and then runs the container's
// command. It parses its command line strictly, runs no shell, and makes only a few system calls as root.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// terminationLog is the file whose content kubectl describe shows for an ended container.
const terminationLog = "/dev/termination-log"

// version and commit are set by the linker, to the same values as the webhook's.
var version, commit = "dev", ""

func main() {
	os.Exit(program(os.Args[1:], terminationLog))
}

// program does the work of main and returns the exit status. logPath is the path of the termination log.
func program(args []string, logPath string) int {
	err := hide()
	if err == nil {
		err = run(args)
	}
	if err == nil {
		return 0
	}
	if !isContainersCommand(args, os.Getpid()) {
		logPath = ""
	}
	reportError(err, logPath)
	if _, done := errors.AsType[notice](err); done {
		return 0
	}
	return 1
}

// hide prevents other processes of the same UID from tracing this process and so changing what it does. A process that
// "kubectl exec" starts in the init container has the same UID as "jupyter-user-init discover". Processes in the notebook
// container can have the UID that "jupyter-user-init exec" changes to. The next execve ends the protection, so the user can
// trace Jupyter as usual. This process can still read its own /proc/self.
func hide() error {
	const setDumpable = 4 // PR_SET_DUMPABLE
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
		return fmt.Errorf("cannot protect this process from others: %w", errno)
	}
	return nil
}

// isContainersCommand reports whether this process is the container's command, and not a hook or a probe. Only the
// container's command may write the termination log. The init container has no hooks and no probes, and only a container's
// command has --image-start. Any other container's command is recognized by its PID 1. With shareProcessNamespace that
// command has another PID, so its error is only in kubectl logs.
func isContainersCommand(args []string, pid int) bool {
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
			return unknownCommandLine(err)
		}
		return discover(d)
	case "exec":
		e, err := handoff.ParseExec(args)
		if err != nil {
			return unknownCommandLine(err)
		}
		return become(e)
	case "version":
		_, err := fmt.Println(strings.TrimSpace(version + " " + commit))
		return err
	}
	return unknownCommandLine(fmt.Errorf("%q is neither discover nor exec", args[0]))
}

// unknownCommandLine returns the error for a command line that this program does not know. A webhook of a later release may
// have written the command line, and the unknown part may be what makes the Pod safe. So the program does not run the known
// part alone, but does nothing.
func unknownCommandLine(err error) error {
	return fmt.Errorf("jupyter-user-init %s does not know this command line: %w. The webhook that wrote it is of another release "+
		"than this image, or it was written by hand: ask the admin to make init.image the image of the webhook itself", version, err)
}

// reportError writes an error to standard error, which kubectl logs shows, and to the termination log, which kubectl
// describe shows. logPath is the path of the termination log; if it is empty, only standard error has the error.
func reportError(err error, logPath string) {
	text := "jupyter-user-init: " + err.Error() + "\n"
	_, _ = os.Stderr.WriteString(text)
	//nolint:gosec // logPath is terminationLog, except in tests
	if f, err := os.OpenFile(logPath, os.O_WRONLY|os.O_TRUNC, 0); err == nil {
		_, _ = f.WriteString(text)
		_ = f.Close()
	}
}
