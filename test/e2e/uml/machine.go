package uml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

// pollInterval is the time between two checks whether the machine runs commands.
const pollInterval = 100 * time.Millisecond

// Options configures the machine that Start starts.
type Options struct {
	Parts Parts
	// Enclosure is the enclosure in which the machine runs. The enclosure must have the address Gateway.
	Enclosure sealed.Enclosure
	// Name is the host name of the machine, and the name of the network device that connects it.
	Name string
	// Address is the address of the machine, and Gateway that of the enclosure. Range is the address range of the Pods on
	// the machine.
	Address, Gateway, Range string
	Memory                  string
	DiskSize                int64
	// Base is the path of the disk of a machine that has been powered off. At first /disk has the content of Base. Changes
	// go to another file, so Base stays as it is. If Base is empty, the disk is empty too, and has DiskSize bytes.
	Base string
	// Folders has the folders of the host that the machine sees, each with its path in the machine.
	Folders map[string]string
}

// Machine is a running virtual machine of User Mode Linux.
type Machine struct {
	Options
	// Console is the file with the output of the kernel and the first process.
	Console string
	disk    string
	agentClient
	done chan struct{}
	err  error
}

const initPath = "/init"

// Start starts a machine, and waits until it runs commands. The machine ends with the enclosure.
func Start(ctx context.Context, o Options) (*Machine, error) {
	folder := filepath.Join(o.Enclosure.Folder, o.Name)
	root, err := o.makeRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("make the root of machine %s: %w", o.Name, err)
	}
	if err := o.connect(ctx); err != nil {
		return nil, fmt.Errorf("connect machine %s: %w", o.Name, err)
	}
	disk := filepath.Join(folder, "disk")
	if o.Base == "" {
		if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, o.DiskSize)); err != nil {
			return nil, err
		}
	}
	m := &Machine{
		Options: o, disk: disk, Console: filepath.Join(folder, "console.log"), agentClient: agentClient{o.Address}, done: make(chan struct{}),
	}
	if err := m.boot(root); err != nil {
		return nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, machine.Patience, true, func(ctx context.Context) (bool, error) {
		return m.responds(ctx), m.Ended()
	})
	if err != nil {
		return nil, fmt.Errorf("machine %s does not run commands: %w\n%s", o.Name, err, progress.Ends(m.Console))
	}
	return m, nil
}

// makeRoot makes the root of the machine: a writable layer over Parts.Root. In the root, makeRoot mounts this program and
// the folders of Options.Folders.
func (o Options) makeRoot(folder string) (string, error) {
	root, upper, work := filepath.Join(folder, "root"), filepath.Join(folder, "upper"), filepath.Join(folder, "work")
	if err := errors.Join(os.MkdirAll(root, 0o755), os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return "", err
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", o.Parts.Root, upper, work)
	if err := syscall.Mount("overlay", root, "overlay", 0, layers); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(root, initPath), nil, 0o755),
		syscall.Mount(self, filepath.Join(root, initPath), "", syscall.MS_BIND, "")); err != nil {
		return "", err
	}
	for here, there := range o.Folders {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, there), 0o755),
			syscall.Mount(here, filepath.Join(root, there), "", syscall.MS_BIND|syscall.MS_REC, "")); err != nil {
			return "", err
		}
	}
	return root, os.MkdirAll(filepath.Join(root, "disk"), 0o755)
}

// connect makes a network device for the machine, and the routes to the machine and to its Pods.
func (o Options) connect(ctx context.Context) error {
	for _, arguments := range []string{
		"tuntap add dev " + o.Name + " mode tap",
		"link set " + o.Name + " up",
		"route add " + o.Address + "/32 dev " + o.Name + " src " + o.Gateway,
		"route add " + o.Range + " via " + o.Address + " dev " + o.Name + " src " + o.Gateway,
	} {
		if output, err := exec.CommandContext(ctx, "ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", arguments, err, output)
		}
	}
	return nil
}

func (m *Machine) boot(root string) error {
	console, err := os.Create(m.Console)
	if err != nil {
		return err
	}
	disk := m.disk
	if m.Base != "" {
		// The disk consists of two files. The kernel writes changes only to the first, and reads everything else from the
		// second.
		disk += "," + m.Base
	}
	command := exec.Command(m.Parts.Kernel, "mem="+m.Memory, "ubda="+disk, "root=/dev/root", "rootfstype=hostfs", "rootflags="+root, "rw",
		"init="+initPath, "vec0:transport=tap,ifname="+m.Name+",depth=64,gro=1", "con=null", "con0=null,fd:1", "quiet",
		// Without these two arguments, the kernel leaves a folder in the home of the user who starts it.
		"uml_dir="+filepath.Dir(m.Console), "umid=console",
		stageVariable+"="+stageFirst, nameVariable+"="+m.Name, addressVariable+"="+m.Address, gatewayVariable+"="+m.Gateway)
	// The machine's memory is a file in TMPDIR. On a disk it would be slow.
	command.Env = append(os.Environ(), "TMPDIR=/dev/shm")
	command.Stdout, command.Stderr = console, console
	if err := onOneCPU(command.Start); err != nil {
		return errors.Join(err, console.Close())
	}
	go func() {
		m.err = errors.Join(command.Wait(), console.Close())
		close(m.done)
	}()
	return nil
}

// Ended returns an error if the machine has ended.
func (m *Machine) Ended() error {
	select {
	case <-m.done:
		return errors.Join(errors.New("the machine has ended"), m.err)
	default:
		return nil
	}
}

// PowerOff ends the machine, and returns the path of its disk. Every program that writes to the disk must have ended.
func (m *Machine) PowerOff(ctx context.Context) (disk string, err error) {
	if _, err := m.Must(ctx, "umount", "/disk"); err != nil {
		return "", err
	}
	// There is no response, because the machine ends.
	_, _ = m.Do(ctx, Command{Args: []string{initPath}, Environment: []string{stageVariable + "=" + stageOff}})
	select {
	case <-m.done:
		return m.disk, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// machines is the number of machines that this program has started so far.
var machines atomic.Int64

// onOneCPU calls startProcess. The process that startProcess starts, and the children of that process, run on one CPU. The
// next call of onOneCPU uses the next CPU.
//
// The reason is speed. At each system call, the kernel of User Mode Linux and the process that it runs take turns. If they
// run on different CPUs, each turn waits behind the other programs of its CPU. On a busy machine with two CPUs, a kernel
// that was kept on one CPU made four times as many system calls per second.
func onOneCPU(startProcess func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	turn := int(machines.Add(1)-1) % all.Count()
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			if turn == 0 {
				one.Set(cpu)
			}
			turn--
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &all)) }()
	return startProcess()
}
