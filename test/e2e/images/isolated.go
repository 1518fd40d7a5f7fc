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

// endingTime is how long to wait for the output of a killed command.
const endingTime = 10 * time.Second

// isolated prepares a command in its own mount and PID namespaces. When the command ends, even by kill -9, all its processes end
// and all its mounts are removed.
func isolated(ctx context.Context, arguments ...string) *exec.Cmd {
	arguments = append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"}, arguments...)
	return exec.CommandContext(ctx, "unshare", arguments...)
}

// offline prepares a command as isolated does, without a network. buildah needs no network, because the packages and Go modules
// of an image are downloaded before.
func offline(ctx context.Context, arguments ...string) *exec.Cmd {
	return isolated(ctx, append([]string{"unshare", "--net", "--"}, arguments...)...)
}

// run runs a command, which the kernel kills if this process ends first. If the command fails, the error has the end of its
// output.
func run(command *exec.Cmd) error {
	said := &progress.Tail{}
	output := &progress.Lines{Each: said.Add}
	if command.Stdout == nil {
		command.Stdout = output
	}
	command.Stderr = output
	command.WaitDelay = endingTime
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The kernel sends the signal when the thread that started the command ends, so this thread must not end before the command.
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

// need checks that programs exist, so that none is missing in the middle of a build.
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

// stage runs one step of a build, and reports how long it took.
func stage(out io.Writer, name, doing, done string, work func() error) error {
	m := progress.Start(out, name, doing)
	defer m.End("")
	if err := work(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.End(done)
	return nil
}
