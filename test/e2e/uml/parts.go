package uml

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// Parts are the kernel and the root of a machine.
type Parts struct {
	// Kernel is the path of a kernel that is an ordinary program. Root is the path of a folder that is never written to.
	Kernel, Root string
}

// recipeVersion is part of the key of the cache. Increase it when the build changes in a way that no other part of the key
// shows.
const recipeVersion = 1

// endingTime is the time that fill waits for the output of a build that was killed.
const endingTime = 10 * time.Second

var (
	//go:embed packages
	packages string
	//go:embed bootstrap
	bootstrap string
)

// Build returns the parts, and builds them if the cache does not have them. It returns an error if User Mode Linux cannot run
// on this machine, or if Debian's archive does not have the pinned versions of the packages.
func Build(ctx context.Context, out io.Writer) (Parts, error) {
	if err := thisHost.check(); err != nil {
		return Parts{}, err
	}
	folder, err := cache.Folder("uml")
	if err != nil {
		return Parts{}, err
	}
	entry := cache.Entry{
		Name:        "uml",
		Ingredients: fmt.Sprintf("recipe %d\n%s\n%s", recipeVersion, packages, bootstrap),
		Result:      "linux",
	}
	kernel, err := cache.Cache{Folder: folder, Progress: out}.Get(ctx, entry, func(ctx context.Context, folder string) error {
		m := progress.Start(out, "uml", "bootstrapping")
		defer m.End("")
		if err := fill(ctx, folder); err != nil {
			return err
		}
		m.End("bootstrapped")
		return nil
	})
	return Parts{Kernel: kernel, Root: filepath.Join(filepath.Dir(kernel), "root")}, err
}

// fill runs the script bootstrap in a folder. When the script ends, the processes that it has started end too.
func fill(ctx context.Context, folder string) error {
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return fmt.Errorf("a program is missing, run test/e2e/install: %w", err)
	}
	source, err := project.Folder()
	if err != nil {
		return err
	}
	output := &progress.Tail{}
	lines := &progress.Lines{Each: output.Add}
	command := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
		filepath.Join(source, "test", "e2e", "uml", "bootstrap"))
	command.Dir, command.Stdout, command.Stderr, command.WaitDelay = folder, lines, lines, endingTime
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The kernel kills the script when the thread that started it ends, so this goroutine keeps its thread until the script
	// has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := command.Run(); err != nil {
		all := output.String()
		return fmt.Errorf("make the root of a second machine from Debian's archive: %w: %s\nthe script said:\n%s", err,
			all[strings.LastIndexByte(all, '\n')+1:], all)
	}
	return nil
}

// host has those properties of a machine that decide whether User Mode Linux can run there.
type host struct {
	architecture string
	user         int
	// tun is the device file for network devices.
	tun   string
	trace func() error
}

var thisHost = host{runtime.GOARCH, os.Geteuid(), "/dev/net/tun", traceable}

// check returns an error if User Mode Linux cannot run on this host.
func (h host) check() error {
	if h.architecture != "amd64" {
		return fmt.Errorf("this machine is %s, and Debian has User Mode Linux for amd64 alone", h.architecture)
	}
	if h.user != 0 {
		return errors.New("a second machine needs root")
	}
	tun, err := os.OpenFile(h.tun, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("a second machine needs a network device of its own: %w", err)
	}
	if err := errors.Join(tun.Close(), h.trace()); err != nil {
		return fmt.Errorf("a process may not trace its child, by which User Mode Linux runs programs: %w", err)
	}
	return nil
}

// traceable returns an error if a process may not trace its own child. User Mode Linux runs each program as a traced child.
func traceable() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return err
	}
	var status syscall.WaitStatus
	_, err = syscall.Wait4(child.Pid, &status, 0, nil)
	return errors.Join(err, syscall.PtraceDetach(child.Pid), reap(child))
}

func reap(child *os.Process) error {
	_, err := child.Wait()
	return err
}
