package sealed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// HostName is the host name inside the enclosure.
const HostName = "node"

// tunables are kernel settings that a kubelet changes when it starts. The whole machine shares these settings, so inside
// the enclosure ordinary files are mounted over them.
var tunables = []string{
	"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops",
	"/proc/sys/kernel/keys/root_maxkeys", "/proc/sys/kernel/keys/root_maxbytes",
}

// setUpNamespaces separates the new namespaces from the machine: their mounts, the tunables, the host name, the network and
// the cgroups.
func setUpNamespaces(folder string) error {
	for _, step := range []func(string) error{separateMounts, mountFresh, hideTunables, setHostName, startNetwork} {
		if err := step(folder); err != nil {
			return err
		}
	}
	return createCgroups(enclosure(folder).Cgroup)
}

// separateMounts separates the mounts of the new mount namespace from those of the machine. Mounts that are made in the
// namespace later are visible in its containers.
func separateMounts(string) error {
	for _, flags := range []uintptr{syscall.MS_PRIVATE | syscall.MS_REC, syscall.MS_SHARED | syscall.MS_REC} {
		if err := syscall.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("part from the machine's mounts: %w", err)
		}
	}
	return nil
}

// mountFresh mounts /proc and /run again, because they must show the new namespaces, and not the machine.
func mountFresh(string) error {
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// /run has sockets, network namespaces and locks. Those of the machine must not be visible.
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	return os.Mkdir("/run/lock", 0o755)
}

func hideTunables(folder string) error {
	for _, path := range tunables {
		value, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file := filepath.Join(folder, "tunables-"+filepath.Base(path))
		if err := mountOver(file, path, string(value)); err != nil {
			return err
		}
	}
	return nil
}

func setHostName(folder string) error {
	if err := syscall.Sethostname([]byte(HostName)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	hosts := "127.0.0.1 localhost " + HostName + "\n::1 localhost\n"
	if err := mountOver(filepath.Join(folder, "hosts"), "/etc/hosts", hosts); err != nil {
		return err
	}
	if _, err := os.Stat(resolver); err != nil {
		return nil //nolint:nilerr // The file was in /run, which mountFresh has hidden.
	}
	// The name server of the machine cannot be reached from the enclosure. With this address, each lookup fails at once.
	return mountOver(filepath.Join(folder, "nobody.conf"), resolver, "nameserver 127.0.0.1\n")
}

const resolver = "/etc/resolv.conf"

// mountOver writes content to file, and mounts file over another file, whose path is over.
func mountOver(file, over, content string) error {
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		return err
	}
	if err := syscall.Mount(file, over, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("put a file over %s: %w", over, err)
	}
	return nil
}

func startNetwork(string) error {
	output, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput()
	if err != nil {
		return fmt.Errorf("start loopback: %w %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}
