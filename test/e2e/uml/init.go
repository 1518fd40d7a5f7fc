package uml

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// These variables are on the command line of the kernel, which puts them into the environment of its first process.
const (
	stageVariable   = "JUPYTER_USER_UML"
	nameVariable    = "JUPYTER_USER_UML_NAME"
	addressVariable = "JUPYTER_USER_UML_ADDRESS"
	gatewayVariable = "JUPYTER_USER_UML_GATEWAY"

	stageFirst = "first"
	stageAgent = "agent"
	stageOff   = "off"
)

const path = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"

// Inside reports whether this process runs in a machine of this package. Call Inside at the beginning of main, or of
// TestMain. If Inside returns true, do nothing but call Run.
func Inside() bool { return os.Getenv(stageVariable) != "" }

// Run runs the first process of the machine or its agent, or powers the machine off. It returns only if the agent fails, or
// if the machine cannot be powered off.
func Run() int {
	switch os.Getenv(stageVariable) {
	case stageAgent:
		fmt.Println("error: serve commands:", serveAgent(os.Getenv(addressVariable)))
		return 1
	case stageFirst:
		fmt.Println("error: start the machine:", first())
	}
	// The kernel would panic if its first process ended. So this process powers the machine off instead of ending.
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	return 1
}

// first sets the machine up, runs the agent, and collects orphans. It returns only with an error.
func first() error {
	if err := os.Setenv("PATH", path); err != nil {
		return err
	}
	if err := errors.Join(os.Setenv("HOME", "/root"), mountAll()); err != nil {
		return err
	}
	name := os.Getenv(nameVariable)
	if err := syscall.Sethostname([]byte(name)); err != nil {
		return err
	}
	hosts := "127.0.0.1 localhost\n" + os.Getenv(addressVariable) + " " + name + "\n"
	if err := os.WriteFile("/etc/hosts", []byte(hosts), 0o644); err != nil {
		return err
	}
	if err := mountDisk(); err != nil {
		return err
	}
	for _, line := range []string{
		"modprobe -a nfsd nfs nfsv3 nfsv4 overlay veth bridge loop",
		"ip link set lo up",
		"ip address add " + os.Getenv(addressVariable) + "/32 dev vec0",
		"ip link set vec0 up",
		"ip route add " + os.Getenv(gatewayVariable) + "/32 dev vec0",
		"ip route add default via " + os.Getenv(gatewayVariable) + " dev vec0 src " + os.Getenv(addressVariable),
	} {
		if err := run(line); err != nil {
			return err
		}
	}
	return runAgent()
}

// run runs a command line, which must have no quotes.
func run(line string) error {
	words := strings.Fields(line)
	if output, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, output)
	}
	return nil
}

// mountDisk mounts the disk. If the disk has no file system, mountDisk makes one.
func mountDisk() error {
	const device, at = "/dev/ubda", "/disk"
	if syscall.Mount(device, at, "ext4", 0, "") != nil {
		if err := run("mkfs.ext4 -q -F " + device); err != nil {
			return err
		}
		if err := syscall.Mount(device, at, "ext4", 0, ""); err != nil {
			return fmt.Errorf("mount the disk: %w", err)
		}
	}
	return syscall.Mount("", at, "", syscall.MS_SHARED, "")
}

// mountAll makes the usual mounts and folders of a Linux system, and completes /proc/cpuinfo.
func mountAll() error {
	for _, m := range []struct{ kind, at, data string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"tmpfs", "/run", "mode=755"}, {"tmpfs", "/tmp", "mode=1777"},
		{"devtmpfs", "/dev", ""}, {"devpts", "/dev/pts", "mode=620,ptmxmode=666"}, {"tmpfs", "/dev/shm", "mode=1777"},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(m.kind, m.at, m.kind, 0, m.data); err != nil && !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := os.Symlink("/proc/self/fd", "/dev/fd"); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("share mounts with containers: %w", err)
	}
	for _, folder := range []string{"/run/lock", "/run/netns", "/run/rpcbind"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return completeCPU()
}

// completeCPU adds the fields to /proc/cpuinfo that a kubelet reads, because User Mode Linux lacks them.
func completeCPU() error {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err
	}
	text := strings.Replace(string(data), "bogomips",
		"cpu MHz\t\t: 2000.000\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\nbogomips", 1)
	return errors.Join(os.WriteFile("/run/cpuinfo", []byte(text), 0o644),
		syscall.Mount("/run/cpuinfo", "/proc/cpuinfo", "", syscall.MS_BIND, ""))
}

func runAgent() error {
	if err := os.Setenv(stageVariable, stageAgent); err != nil {
		return err
	}
	process, err := os.StartProcess("/proc/self/exe", os.Args[:1], &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return err
		case pid == process.Pid:
			return errors.New("the agent has ended")
		}
	}
}
