package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

// endingTime is how long a killed command's output is waited for.
const endingTime = 10 * time.Second

// isolated prepares a command in mount and PID namespaces of its own, so that whatever ends it, and be it kill -9, ends
// everything that it started and takes every mount away.
func isolated(ctx context.Context, arguments ...string) *exec.Cmd {
	arguments = append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"}, arguments...)
	return exec.CommandContext(ctx, "unshare", arguments...)
}

// offline prepares a command as isolated does, and without a network: what an image is made of is fetched before, where it
// is checked against a pin.
func offline(ctx context.Context, arguments ...string) *exec.Cmd {
	return isolated(ctx, append([]string{"unshare", "--net", "--"}, arguments...)...)
}

// run runs a command that dies with this process. If the command fails, the last of what it said is in the error.
func run(command *exec.Cmd) error {
	said := &progress.Tail{}
	output := &progress.Lines{Each: said.Add}
	if command.Stdout == nil {
		command.Stdout = output
	}
	command.Stderr = output
	command.WaitDelay = endingTime
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The signal comes when the thread that started it ends, so that one must not end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := command.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, exec.ErrNotFound):
		return needInstall(err)
	default:
		return fmt.Errorf("%v: %w; it said:\n%s", command.Args, err, said)
	}
}

// need checks that programs are there, before one of them is missed in the middle of a build.
func need(programs ...string) error {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return needInstall(err)
		}
	}
	return nil
}

func needInstall(err error) error {
	return fmt.Errorf("a program is missing, run test/e2e/install: %w", err)
}

// stage does one step of a build, and says how long it took.
func stage(out io.Writer, name, doing, done string, work func() error) error {
	m := progress.Start(out, name, doing)
	defer m.End("")
	if err := work(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.End(done)
	return nil
}
