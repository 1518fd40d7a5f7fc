// Package sealed runs a program in an enclosure: its own mount, process, network, host name and IPC namespaces, with a
// folder and a cgroup on this machine.
//
// A node of a cluster makes mounts, bridges, routes and many processes. All processes of the namespaces end with the
// process that started the enclosure, also if that process is killed. The kernel then removes the mounts, bridges and
// routes. So a program in an enclosure need not remove anything. A killed run leaves only the folder and the cgroup, which
// the next run removes. The enclosure also separates the node from other programs of the machine.
//
// The program runs as three processes at the same time. The outside process has the network of the machine. It starts the
// first process of the new namespaces, and waits for its end. The first process sets the namespaces up, starts the inside
// process, and then collects orphans. The inside process calls Program.Inside.
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

// stageVariable is an environment variable with the stage and the path of the folder: first:/var/tmp/… in the first
// process, and inside:/var/tmp/… in the inside process. It is not set in the outside process.
const stageVariable = "JUPYTER_USER_SEALED"

const (
	stageFirst  = "first"
	stageInside = "inside"
)

// Program has the functions and the settings of a program that Run runs in an enclosure.
type Program struct {
	// Outside is called first, with the machine's network. It may be nil.
	Outside func(ctx context.Context) error
	// Inside is called in the namespaces, as root, and returns the exit status.
	Inside func(enclosure Enclosure) int
	// Tunnels are the names of tunnels, which forward connections from outside to servers inside (see tunnel.go). Inside
	// opens each tunnel with Enclosure.Open. Opened is called outside with the listening address of each tunnel. Opened may
	// be nil.
	Tunnels []string
	Opened  func(tunnel, address string)
	// UntilInterrupt makes Ctrl-C the normal end of the program, so that Run returns 0.
	UntilInterrupt bool
}

// interrupted is the exit status after Ctrl-C, as in a shell.
const interrupted = 130

// Enclosure is the environment of the function Inside.
type Enclosure struct {
	// Folder is the path of a folder that exists as long as the enclosure. The folder is on a disk, and every user may
	// search it.
	Folder string
	// Cgroup is the path of the cgroup of the enclosure, in every cgroup hierarchy. The cgroup is removed when the
	// enclosure ends.
	Cgroup string
}

// Run runs the program and returns the exit status. Call Run at the beginning of main, or of TestMain.
func Run(p Program) int {
	stage, folder, _ := strings.Cut(os.Getenv(stageVariable), ":")
	_ = os.Unsetenv(stageVariable) // Programs that this program starts must not inherit the variable.
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
		return 1, errors.New("a node needs root (namespaces, mounts, other users' files): run this as root")
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
	closeTunnels, err := p.openTunnels(ctx, f.path)
	if err != nil {
		return 1, errors.Join(err, f.remove())
	}
	status, err := seal(ctx, f)
	closeTunnels()
	return status, errors.Join(err, f.remove())
}

// dieWithParent makes the kernel send SIGTERM to this process when its parent ends, so that this process also cleans up if
// go test is killed. dieWithParent returns an error if the parent has ended already.
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

// seal runs the first process of new namespaces, and returns its exit status. Before the first process ends, the kernel
// kills all other processes of the namespaces.
func seal(ctx context.Context, f *folder) (int, error) {
	// The kernel kills the child when the thread that started it ends.
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
		// Ctrl-C must reach only the outside process, which then ends the other processes.
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

// first runs in the first process of the namespaces. It sets the namespaces up, starts the inside process, and returns the
// exit status of the inside process. It also collects orphans, which become children of the first process because its ID
// is 1.
func first(folder string) int {
	if err := setUpNamespaces(folder); err != nil {
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
