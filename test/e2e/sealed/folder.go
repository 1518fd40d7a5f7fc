package sealed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// parentFolder is a folder for large files that may be lost at a reboot. Unlike /tmp, it is never in memory.
	parentFolder = "/var/tmp"
	prefix       = "jupyter-user-e2e-"
	// lockName is the name of a file in the folder of an enclosure. The file is locked while the folder is in use.
	lockName = "lock"
	// minSweepAge is the age up to which sweep keeps a folder without a lock file: the process that made the folder may not
	// have created the lock file yet.
	minSweepAge = time.Minute
	// removalTime is the time limit for the kernel to release a cgroup whose processes have ended.
	removalTime = 10 * time.Second
)

// folder is the folder of an enclosure. held is the open lock file, or nil if the folder has none.
type folder struct {
	path string
	held *os.File
}

func enclosure(path string) Enclosure {
	return Enclosure{Folder: path, Cgroup: "/" + filepath.Base(path)}
}

func (e Enclosure) join(name string) string { return filepath.Join(e.Folder, name) }

func newFolder() (*folder, error) {
	path, err := os.MkdirTemp(parentFolder, prefix)
	if err != nil {
		return nil, fmt.Errorf("create a folder for the node: %w", err)
	}
	f := &folder{path: path}
	if err := errors.Join(os.Chmod(path, 0o755), os.Mkdir(filepath.Join(path, "tmp"), 0o755|fs.ModeSticky)); err != nil {
		return nil, errors.Join(fmt.Errorf("create a folder for the node: %w", err), f.remove())
	}
	name := filepath.Join(path, lockName)
	f.held, err = os.Create(name + ".new")
	if err == nil {
		err = syscall.Flock(int(f.held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the folder of the node: %w", err), f.remove())
	}
	return f, nil
}

// remove removes the folder, and the cgroups with the name of the folder. Nothing is mounted in the folder, because the
// mounts of the enclosure end with its mount namespace.
func (f *folder) remove() error {
	err := errors.Join(removeCgroups(enclosure(f.path).Cgroup), os.RemoveAll(f.path))
	if f.held != nil {
		err = errors.Join(err, f.held.Close())
	}
	if err != nil {
		return fmt.Errorf("remove what the node left: %w", err)
	}
	return nil
}

// sweep removes the folders and cgroups of runs that were killed.
func sweep() error {
	folders, err := filepath.Glob(filepath.Join(parentFolder, prefix+"*"))
	if err != nil {
		return fmt.Errorf("look for what an earlier run left: %w", err)
	}
	for _, path := range folders {
		f, free := takeOver(path)
		if !free {
			continue
		}
		if err := f.remove(); err != nil {
			return err
		}
	}
	return nil
}

// takeOver returns the folder at path, and locks its lock file, unless an enclosure may still use the folder. The outside
// process and the first process of an enclosure hold the lock. All other processes of the enclosure end with its first
// process.
func takeOver(path string) (*folder, bool) {
	held, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		info, err := os.Stat(path)
		return &folder{path: path}, err == nil && time.Since(info.ModTime()) > minSweepAge
	}
	if err != nil {
		return nil, false
	}
	if syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = held.Close()
		return nil, false
	}
	return &folder{path: path, held: held}, true
}

// cgroupRoot is the root of the cgroup hierarchies. cgroup version 2 has one hierarchy, at cgroupRoot itself. Version 1 has
// several, each in a folder of cgroupRoot.
const cgroupRoot = "/sys/fs/cgroup"

func hierarchies() []string {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return []string{cgroupRoot}
	}
	found, _ := filepath.Glob(filepath.Join(cgroupRoot, "*", "cgroup.procs")) // Glob fails only for bad patterns.
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

func createCgroups(name string) error {
	for _, hierarchy := range hierarchies() {
		err := os.Mkdir(filepath.Join(hierarchy, name), 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("create a cgroup for the node: %w", err)
		}
	}
	return nil
}

// removeCgroups removes a cgroup, and the cgroups below it, in every hierarchy. Their processes must have ended.
// removeCgroups repeats the attempt, because the kernel releases a cgroup with a short delay.
func removeCgroups(name string) error {
	if !strings.HasPrefix(name, "/"+prefix) {
		return fmt.Errorf("%s is no cgroup of a node", name)
	}
	var last error
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, removalTime, true,
		func(context.Context) (bool, error) {
			last = nil
			for _, hierarchy := range hierarchies() {
				last = errors.Join(last, removeCgroup(filepath.Join(hierarchy, name)))
			}
			return last == nil, nil
		})
	if err != nil {
		return last
	}
	return nil
}

// removeCgroup removes a cgroup, and first the cgroups below it. A cgroup is a folder, and its files belong to the kernel,
// so only folders are removed.
func removeCgroup(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, removeCgroup(filepath.Join(path, entry.Name())))
		}
	}
	return errors.Join(err, syscall.Rmdir(path))
}
