package node

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Process is a process of a Pod, as the kernel of the node reports it. A Pod cannot fake the IDs and the capabilities.
type Process struct {
	PID int
	// Exe is the path of the program in the container.
	Exe  string
	Args []string
	// UIDs and GIDs are the real, effective, saved and file system IDs, in this order.
	UIDs, GIDs []int64
	Groups     []int64
	// Inheritable, Permitted, Effective, Bounding and Ambient are the capability sets, as bits.
	Inheritable, Permitted, Effective, Bounding, Ambient uint64
	NoNewPrivs                                           bool
	// Pod is the UID of the Pod. Container is the ID of the container in containerd. The container can be the sandbox of
	// the Pod.
	Pod       types.UID
	Container string
}

// IsRoot reports whether any of the four UIDs is 0.
func (p Process) IsRoot() bool { return slices.Contains(p.UIDs, 0) }

// IsRuntime reports whether the process is the container runtime. The runtime prepares a container from inside, and then
// executes the container's program in the same process.
func (p Process) IsRuntime() bool {
	// While the runtime enters the root of the container, the path of its program cannot be read.
	if slices.Equal(p.Args, []string{"runc", "init"}) {
		return true
	}
	// To protect its own file from containers, the runtime runs from a copy in memory, or from a file that is not mounted
	// anywhere.
	exe := strings.TrimSuffix(p.Exe, " (deleted)")
	return strings.HasPrefix(exe, "/memfd:runc_cloned:") || filepath.Base(exe) == "runc"
}

// Mounts returns the options, such as ro, of the mounts that the process sees, by mount point. Of several mounts at one mount
// point, it returns the last one.
func (p Process) Mounts() map[string][]string {
	data, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "mountinfo"))
	mounts := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		// The fifth field is the mount point. The sixth has the options of this mount, not those of the file system.
		if fields := strings.Fields(line); len(fields) > 5 {
			mounts[fields[4]] = strings.Split(fields[5], ",")
		}
	}
	return mounts
}

// Environment returns the initial environment of the process.
func (p Process) Environment() map[string]string {
	data, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "environ"))
	environment := map[string]string{}
	for variable := range bytes.SplitSeq(data, []byte{0}) {
		name, value, _ := strings.Cut(string(variable), "=")
		environment[name] = value
	}
	return environment
}

// WorkingDir returns the working directory of the process, or an empty string if it cannot be read.
func (p Process) WorkingDir() string {
	dir, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(p.PID), "cwd"))
	return dir
}

// Processes returns the processes of a Pod.
func Processes(pod types.UID) []Process {
	return processes(func(p Process) bool { return p.Pod == pod })
}

// processes returns, of the processes of all Pods, those that meet the condition. /proc shows the processes of containers
// too, because their PID namespaces are below the PID namespace of the enclosure.
func processes(condition func(Process) bool) []Process {
	entries, _ := os.ReadDir("/proc")
	var found []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		pod, container, ok := ownerOf(pid)
		if !ok {
			continue
		}
		p, err := readProcess(pid)
		p.Pod, p.Container = pod, container
		if err == nil && condition(p) {
			found = append(found, p)
		}
	}
	return found
}

// ownerOf returns the Pod and the container to which a process belongs, from the path of its cgroup, which ends with
// pod<UID>/<container>.
func ownerOf(pid int) (pod types.UID, container string, ok bool) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return "", "", false
	}
	_, path, ok := strings.Cut(string(data), "/kubepods")
	if !ok {
		return "", "", false
	}
	path, _, _ = strings.Cut(path, "\n")
	_, path, _ = strings.Cut(path, "/pod")
	uid, container, ok := strings.Cut(path, "/")
	return types.UID(uid), container, ok
}

// errChanged means that the process executed another program while readOnce read its files.
var errChanged = errors.New("another program by now")

// readProcess reads a process from /proc, and returns an error if the process has ended. If the process executes another
// program between two reads, readProcess begins again, because the result would be a mixture, such as the path of the old
// program without arguments.
func readProcess(pid int) (Process, error) {
	for {
		if p, err := readOnce(pid); !errors.Is(err, errChanged) {
			return p, err
		}
	}
}

func readOnce(pid int) (Process, error) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	exe, err := os.Readlink(filepath.Join(folder, "exe"))
	if err != nil {
		return Process{}, err
	}
	arguments, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	if err != nil {
		return Process{}, err
	}
	status, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		return Process{}, err
	}
	after, err := os.Readlink(filepath.Join(folder, "exe"))
	if err != nil {
		return Process{}, err
	}
	if after != exe {
		return Process{}, errChanged
	}
	p := Process{PID: pid, Exe: exe, Args: strings.Split(strings.TrimRight(string(arguments), "\x00"), "\x00")}
	return p, p.readStatus(string(status))
}

func (p *Process) readStatus(status string) error {
	var errs []error
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		var err error
		switch name {
		case "Uid":
			p.UIDs, err = numbers(value)
		case "Gid":
			p.GIDs, err = numbers(value)
		case "Groups":
			p.Groups, err = numbers(value)
		case "CapInh":
			p.Inheritable, err = bits(value)
		case "CapPrm":
			p.Permitted, err = bits(value)
		case "CapEff":
			p.Effective, err = bits(value)
		case "CapBnd":
			p.Bounding, err = bits(value)
		case "CapAmb":
			p.Ambient, err = bits(value)
		case "NoNewPrivs":
			p.NoNewPrivs = strings.TrimSpace(value) == "1"
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func numbers(text string) ([]int64, error) {
	var found []int64
	for field := range strings.FieldsSeq(text) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, err
		}
		found = append(found, n)
	}
	return found, nil
}

func bits(text string) (uint64, error) { return strconv.ParseUint(strings.TrimSpace(text), 16, 64) }

// watchInterval is the time between two readings of the processes. Watch can miss a program that lives for a shorter time.
const watchInterval = 2 * time.Millisecond

// Watch observes the processes of all Pods until the context ends, and returns those that met the condition. A process that
// executed several programs, or that changed between root and another user, is returned once for each of these states.
func Watch(ctx context.Context, condition func(Process) bool) []Process {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	type key struct {
		pid  int
		exe  string
		root bool
	}
	seen := map[key]Process{}
	for {
		for _, p := range processes(condition) {
			seen[key{p.PID, p.Exe, p.IsRoot()}] = p
		}
		select {
		case <-ctx.Done():
			return slices.Collect(maps.Values(seen))
		case <-ticker.C:
		}
	}
}
