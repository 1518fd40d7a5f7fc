// Package sealed runs a program in mount, process, network, host name and IPC namespaces of its own.
//
// A node of a cluster mounts, bridges, routes and starts processes that start processes. Inside of namespaces the kernel
// takes all of it away with the last process, and the last process goes with the one that started them, however that ends.
// So there is nothing to take down, and nothing that a killed run could leave on the machine but a folder and a cgroup, which
// the next run removes. Nor does the node collide with what else the machine runs.
//
// The program is run three times: outside, where there is a network and where it waits for the others; as the first process
// of the new namespaces, which furnishes them and then collects orphans; and inside.
package sealed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// stageVariable says in the environment which of the three runs this is, and the folder: first:/var/tmp/…, inside:/var/tmp/….
const stageVariable = "JUPYTER_USER_SEALED"

const (
	stageFirst  = "first"
	stageInside = "inside"
)

// A Program is what is run.
type Program struct {
	// Outside is called before anything is sealed: what needs the machine's network is done here. It may be nil.
	Outside func(ctx context.Context) error
	// Inside is called in the namespaces, as root, and answers the exit status.
	Inside func(enclosure Enclosure) int
	// Doors are the names of the doors that are opened to the outside, once Inside has opened them with Enclosure.Open. Opened is
	// told where each is.
	Doors  []string
	Opened func(door, address string)
	// UntilInterrupt reports whether the program runs until Ctrl-C, which is no error then.
	UntilInterrupt bool
}

// interrupted is the exit status after Ctrl-C, as of a shell.
const interrupted = 130

// An Enclosure is what is inside.
type Enclosure struct {
	// Folder is there for as long as the enclosure is. It is on a disk, and everybody may pass through it.
	Folder string
	// Cgroup is a path in every cgroup hierarchy, which goes with the enclosure.
	Cgroup string
}

// Run runs the program and answers the exit status. It is called first thing in main, or in TestMain.
func Run(p Program) int {
	stage, folder, _ := strings.Cut(os.Getenv(stageVariable), ":")
	_ = os.Unsetenv(stageVariable) // Not for the programs that are started from here.
	switch stage {
	case stageFirst:
		return first(folder)
	case stageInside:
		return p.Inside(enclosure(folder))
	}
	status, err := p.outside()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		return max(status, 1)
	case status == interrupted && p.UntilInterrupt:
		fmt.Fprintln(os.Stderr, "\nEverything was removed.")
		return 0
	case status == interrupted:
		fmt.Fprintln(os.Stderr, "error: interrupted")
	}
	return status
}

func (p Program) outside() (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("a node needs root (namespaces, mounts, other people's files): run this as root")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := dieWithParent(); err != nil {
		return 1, err
	}
	if p.Outside != nil {
		err := p.Outside(ctx)
		if ctx.Err() != nil {
			return interrupted, nil
		}
		if err != nil {
			return 1, err
		}
	}
	if err := sweep(); err != nil {
		return 1, err
	}
	f, err := newFolder()
	if err != nil {
		return 1, err
	}
	closeDoors, err := p.openDoors(ctx, f.path)
	if err != nil {
		return 1, errors.Join(err, f.remove())
	}
	status, err := seal(ctx, f)
	closeDoors()
	return status, errors.Join(err, f.remove())
}

// dieWithParent has the kernel interrupt this process, which then cleans up, when the one that started it is killed: nobody
// waits for a test whose go test is gone. A parent that is gone before this is asked for is not noticed.
func dieWithParent() error {
	parent := os.Getppid()
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0); errno != 0 {
		return fmt.Errorf("ask for a signal when the parent dies: %w", errno)
	}
	if os.Getppid() != parent {
		return errors.New("interrupted: the process that started this one is gone")
	}
	return nil
}

// seal runs the first process of new namespaces, and waits until the last is gone: the kernel kills all the others with the
// first, and lets it go last.
func seal(ctx context.Context, f *folder) (int, error) {
	// The kernel kills the child when the thread ends that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	command := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Env = append(os.Environ(), stageVariable+"="+stageFirst+":"+f.path)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.ExtraFiles = []*os.File{f.held}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		// Ctrl-C is for the process outside, which then ends the rest.
		Setpgid: true,
	}
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return interrupted, nil
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		return 1, fmt.Errorf("the first process of the namespaces, and with it all others, did not end by itself: %w", exit)
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	case err != nil:
		return 1, fmt.Errorf("make namespaces: %w", err)
	}
	return 0, nil
}

// first furnishes the namespaces and runs the program inside. It is process 1, to which orphans fall.
func first(folder string) int {
	if err := furnish(folder); err != nil {
		fmt.Fprintln(os.Stderr, "error: furnish the namespaces:", err)
		return 1
	}
	environment := append(os.Environ(), stageVariable+"="+stageInside+":"+folder, "TMPDIR="+enclosure(folder).join("tmp"))
	inside, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Env: environment, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: run inside of the namespaces:", err)
		return 1
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Fprintln(os.Stderr, "error: wait for the processes inside:", err)
			return 1
		case pid == inside.Pid && status.Signaled():
			fmt.Fprintln(os.Stderr, "error: killed inside of the namespaces:", status.Signal())
			return 1
		case pid == inside.Pid:
			return status.ExitStatus()
		}
	}
}
