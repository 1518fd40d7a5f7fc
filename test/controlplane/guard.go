package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// envtest starts each program in a process group of its own. So Ctrl-C at a terminal does not reach the programs. They
// would also keep running after a test that panics, reaches its time limit or is killed. A signal handler helps only
// against Ctrl-C, and envtest cannot set PR_SET_PDEATHSIG. But every Unix kernel closes the files of a process that ends.
// So this package starts a guard: a shell that reads from a pipe. Only this process has the other end of the pipe, and
// never writes to it. When this process ends, the guard's read ends too. The guard then kills the remaining programs and
// removes the folder.

const (
	// binFolder is the folder, in a control plane's folder, from which the programs are started.
	binFolder = "bin"
	// groupSuffix is the suffix of a file in binFolder that has the number of a program's process group.
	groupSuffix = ".group"
)

// wrapper is the script that envtest starts in place of a program. The script writes its process group to a file and
// becomes the program. With --help, by which envtest reads the program's flags, the script writes no file. If the folder is
// gone already, the script starts nothing.
const wrapper = `#!/bin/sh
set -e
[ "$1" = --help ] || echo $$ >"$0` + groupSuffix + `"
exec "$0.program" "$@"
`

// guardScript is the program of the guard. Its argument is the control plane's folder. The kernel can use the number of
// an ended process group for another group. So, where /proc exists, the guard checks that a process group still belongs
// to this control plane. A killed process can still create files for a moment, so the removal is tried several times.
const guardScript = `
while read -r _; do :; done
for note in "$1"/` + binFolder + `/*` + groupSuffix + `; do
	[ -f "$note" ] || continue
	group=$(cat "$note")
	[ ! -d /proc/self ] || grep -qF "$1/" "/proc/$group/cmdline" || continue
	kill -s KILL -- "-$group"
done
tries=0
until rm -rf "$1" || [ "$tries" -eq 50 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
`

// A guard is a shell that ends the programs and removes the folder when this process ends.
type guard struct {
	command *exec.Cmd
	pipe    io.Closer
}

func startGuard(folder string) (*guard, error) {
	command := exec.Command("/bin/sh", "-c", guardScript, "controlplane-guard", folder)
	// A session of its own keeps the guard alive when the terminal or a kill ends the whole process group.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the shell that cleans up if this process is killed: %w", err)
	}
	return &guard{command: command, pipe: pipe}, nil
}

// dismiss ends the guard. The caller must have ended the programs and removed the folder before.
func (g *guard) dismiss() error {
	_ = g.pipe.Close()
	if err := g.command.Wait(); err != nil {
		return fmt.Errorf("end the shell that cleans up if this process is killed: %w", err)
	}
	return nil
}

// wrap writes the wrapper script of a program and returns the path of the script.
func (f *folder) wrap(name, program string) (string, error) {
	path := filepath.Join(f.path, binFolder, name)
	if err := os.Symlink(program, path+".program"); err != nil {
		return "", fmt.Errorf("prepare to start %s: %w", name, err)
	}
	if err := os.WriteFile(path, []byte(wrapper), 0o700); err != nil {
		return "", fmt.Errorf("prepare to start %s: %w", name, err)
	}
	return path, nil
}

// kill kills the programs that still run, and waits until they have ended, but not longer than stopTimeout.
func (f *folder) kill() {
	groups := f.groups()
	for _, group := range groups {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	// The caller's context may be cancelled already.
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	// An error is ignored, because nothing more can be done about a process that SIGKILL does not end.
	_ = wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
		return len(f.groups()) == 0, nil
	})
}

// failStart makes the start of a control plane fail. It removes the links to the programs, so that no other program can
// start, and kills the running programs until the channel "finished" is closed.
func (f *folder) failStart(finished <-chan struct{}) {
	programs, _ := filepath.Glob(filepath.Join(f.path, binFolder, "*.program")) // Only a bad pattern is an error.
	for _, program := range programs {
		_ = os.Remove(program)
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		// The loop calls kill again, because a program can write its process group after the first call.
		f.kill()
		select {
		case <-finished:
			return
		case <-ticker.C:
		}
	}
}

// groups returns the process groups of the programs that still run.
func (f *folder) groups() []int {
	notes, _ := filepath.Glob(filepath.Join(f.path, binFolder, "*"+groupSuffix)) // Only a bad pattern is an error.
	var groups []int
	for _, note := range notes {
		data, err := os.ReadFile(note)
		if err != nil {
			continue
		}
		group, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err == nil && group > 1 && f.isRunning(group) {
			groups = append(groups, group)
		}
	}
	return groups
}

// isRunning reports whether a process group of this control plane runs. The kernel may have used the number of an ended
// group for another group, which the method detects only on Linux.
func (f *folder) isRunning(group int) bool {
	if runtime.GOOS != "linux" {
		return !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH)
	}
	// The command line of a process that has ended, but was not waited for, is empty.
	command, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(group), "cmdline"))
	return err == nil && strings.Contains(string(command), f.path+"/")
}
