package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// stopGrace is the time within which the API server must stop. After this time it is killed.
const stopGrace = 3 * time.Second

// RestartAPIServer stops the API server and starts it again with the same flags. It returns when the API server is ready.
// It works on Linux only.
//
// It does not use envtest, which would start an API server that does not know the existing users. Stop accepts that the
// process that envtest started has already ended, and ends the new process.
func (c *ControlPlane) RestartAPIServer(ctx context.Context) error {
	name := string(tools.KubeAPIServer)
	program := filepath.Join(c.folder.path, binFolder, name)
	note, err := os.ReadFile(program + groupSuffix)
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	group, err := strconv.Atoi(strings.TrimSpace(string(note)))
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	started, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(group), "cmdline"))
	if err != nil || len(started) == 0 {
		return errors.Join(errors.New("find the API server: it does not run"), err)
	}
	if err := syscall.Kill(group, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the API server: %w", err)
	}
	// The API server would wait up to a minute for open watches, which do not end. So it is killed after stopGrace, as a
	// kubelet kills the API server's static Pod after a grace period.
	grace, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	if await(grace, func(context.Context) (bool, error) { return !c.folder.isRunning(group), nil }) != nil {
		_ = syscall.Kill(group, syscall.SIGKILL)
	}
	if err := await(ctx, func(context.Context) (bool, error) { return !c.folder.isRunning(group), nil }); err != nil {
		return fmt.Errorf("wait for the API server to stop: %w", err)
	}
	log, err := os.OpenFile(c.folder.join(name+".log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open the API server's log again: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has a file descriptor of its own
	var arguments []string
	for argument := range bytes.SplitSeq(bytes.TrimSuffix(started, []byte{0}), []byte{0}) {
		arguments = append(arguments, string(argument))
	}
	command := exec.Command(program, arguments[1:]...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the API server again: %w", err)
	}
	go func() { _ = command.Wait() }() // If the API server ends, the test's next request fails.
	return c.awaitReady(ctx)
}
