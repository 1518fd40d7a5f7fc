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

// envtest starts each program in a process group of its own. So Ctrl-C at a terminal does not reach them, and a test
// that dies by it, by a panic, by its time limit or by SIGKILL leaves them running. A signal handler would help with the
// first of these alone, and PR_SET_PDEATHSIG cannot be set through envtest. What the kernel does without fail, and on any
// Unix, is to close the files of a process that dies. Hence a guard: a shell that reads a pipe which nobody ever writes
// to, and whose only other end is in this process. When it ends, the guard kills what is left and removes the folder.

const (
	// binFolder is where the programs are started from, in a control plane's folder.
	binFolder = "bin"
	// groupSuffix marks the file in which a started program's process group is noted.
	groupSuffix = ".group"
)

// wrapper is started in a program's place. It notes its process group, which becomes the program's: envtest tells nobody.
// Should the folder be gone already, nothing is started.
const wrapper = `#!/bin/sh
set -e
[ "$1" = --help ] || echo $$ >"$0` + groupSuffix + `"
exec "$0.program" "$@"
`

// guardScript gets the control plane's folder as its argument. Where /proc says what a process is, it makes sure that a
// number still means the process it was noted for. A killed process may be seen for a moment yet, hence the repetition.
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

// A guard cleans up after this process, should it die.
type guard struct {
	command *exec.Cmd
	pipe    io.Closer
}

func startGuard(folder string) (*guard, error) {
	command := exec.Command("/bin/sh", "-c", guardScript, "controlplane-guard", folder)
	// Out of reach of the terminal, and of anyone who kills this process together with its group.
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

// dismiss ends the guard, after everything is stopped and removed.
func (g *guard) dismiss() error {
	_ = g.pipe.Close()
	if err := g.command.Wait(); err != nil {
		return fmt.Errorf("end the shell that cleans up if this process is killed: %w", err)
	}
	return nil
}

// wrap returns the path under which a program is to be started.
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

// kill kills what still runs of the control plane, and waits for its end.
func (f *folder) kill() {
	groups := f.groups()
	for _, group := range groups {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	// Not the caller's context: this is what is done when that is cancelled.
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	// Nothing is to be done about a process that SIGKILL does not end.
	_ = wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
		return len(f.groups()) == 0, nil
	})
}

// interrupt makes a start that is under way fail: what runs is killed, and no more is started.
func (f *folder) interrupt(finished <-chan struct{}) {
	programs, _ := filepath.Glob(filepath.Join(f.path, binFolder, "*.program")) // Errs on bad patterns alone.
	for _, program := range programs {
		_ = os.Remove(program)
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		// More than once, since a program may have been about to note its group.
		f.kill()
		select {
		case <-finished:
			return
		case <-ticker.C:
		}
	}
}

// groups are the process groups of the control plane's programs that still run.
func (f *folder) groups() []int {
	notes, _ := filepath.Glob(filepath.Join(f.path, binFolder, "*"+groupSuffix)) // Errs on bad patterns alone.
	var groups []int
	for _, note := range notes {
		data, err := os.ReadFile(note)
		if err != nil {
			continue
		}
		group, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err == nil && group > 1 && f.runs(group) {
			groups = append(groups, group)
		}
	}
	return groups
}

// runs says whether a process group is the control plane's, and not another that has its number by now.
func (f *folder) runs(group int) bool {
	if runtime.GOOS != "linux" {
		return !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH)
	}
	// Empty for a process that is dead, but that nobody has waited for yet.
	command, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(group), "cmdline"))
	return err == nil && strings.Contains(string(command), f.path+"/")
}
