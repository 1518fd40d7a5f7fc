package sealed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// HostName is the name of the machine inside.
const HostName = "node"

// tunables are settings of the whole machine that a kubelet changes at start. No namespace keeps them apart, so inside there
// are files in their place.
var tunables = []string{
	"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops",
	"/proc/sys/kernel/keys/root_maxkeys", "/proc/sys/kernel/keys/root_maxbytes",
}

// furnish turns namespaces that are copies of the machine's into a machine of its own.
func furnish(folder string) error {
	for _, step := range []func(string) error{part, mountFresh, hideTunables, nameHost, startNetwork} {
		if err := step(folder); err != nil {
			return err
		}
	}
	return createCgroups(enclosure(folder).Cgroup)
}

// part cuts the mounts off from the machine's, and then lets containers share what is mounted later.
func part(string) error {
	for _, flags := range []uintptr{syscall.MS_PRIVATE | syscall.MS_REC, syscall.MS_SHARED | syscall.MS_REC} {
		if err := syscall.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("part from the machine's mounts: %w", err)
		}
	}
	return nil
}

// mountFresh mounts what must show these namespaces and not the machine's.
func mountFresh(string) error {
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Sockets, network namespaces and locks: the machine's own stay out of sight.
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
		if err := place(file, path, string(value)); err != nil {
			return err
		}
	}
	return nil
}

func nameHost(folder string) error {
	if err := syscall.Sethostname([]byte(HostName)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	hosts := "127.0.0.1 localhost " + HostName + "\n::1 localhost\n"
	if err := place(filepath.Join(folder, "hosts"), "/etc/hosts", hosts); err != nil {
		return err
	}
	if _, err := os.Stat(resolver); err != nil {
		return nil //nolint:nilerr // It was in /run, and is out of sight.
	}
	// The machine's name server cannot be reached. Here nobody waits for it.
	return place(filepath.Join(folder, "nobody.conf"), resolver, "nameserver 127.0.0.1\n")
}

// resolver is the file that says who is asked for names.
const resolver = "/etc/resolv.conf"

// place writes a file and puts it over another.
func place(file, over, content string) error {
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		return err
	}
	if err := syscall.Mount(file, over, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("put a file over %s: %w", over, err)
	}
	return nil
}

func startNetwork(string) error {
	said, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput()
	if err != nil {
		return fmt.Errorf("start loopback: %w %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}
