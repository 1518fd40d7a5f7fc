package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

const (
	// folderPrefix begins the name of a control plane's folder in the folder for temporary files.
	folderPrefix = "jupyter-user-controlplane-"
	// lockName is the name of a file in the folder. The process that started the control plane keeps the file locked. The
	// kernel releases the lock when that process ends.
	lockName = "owner.lock"
	// unlockedAfter is the age after which a folder without a lock file is treated as left over from a process that was
	// killed while it created the folder.
	unlockedAfter = time.Minute
)

// A folder has all files of a control plane.
type folder struct {
	path string
	lock *flock.Flock
	logs []*os.File
}

// newFolder creates a folder that stays locked until remove is called or this process ends.
func newFolder() (*folder, error) {
	path, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, fmt.Errorf("create a folder for the control plane: %w", err)
	}
	f := &folder{path: path, lock: flock.New(filepath.Join(path, lockName+".new"))}
	for _, name := range []string{binFolder, usersFolder} {
		if err := os.Mkdir(f.join(name), 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("create a folder for the control plane: %w", err), f.remove())
		}
	}
	// The lock file gets the name lockName after it is locked, so that no other process sees an unlocked file of this
	// name.
	_, err = f.lock.TryLock()
	if err == nil {
		err = os.Rename(f.lock.Path(), f.join(lockName))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the control plane's folder: %w", err), f.remove())
	}
	return f, nil
}

func (f *folder) join(name string) string { return filepath.Join(f.path, name) }

// createLog creates the log file of a program. With a pipe in place of the file, the program would block while nothing
// reads from the pipe.
func (f *folder) createLog(program string) (*os.File, error) {
	log, err := os.Create(f.join(program + ".log"))
	if err != nil {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	f.logs = append(f.logs, log)
	return log, nil
}

// logTails returns the end of every log, for an error message.
func (f *folder) logTails() string {
	var names []string
	for _, log := range f.logs {
		names = append(names, log.Name())
	}
	return progress.Ends(names...)
}

// remove closes the logs, removes the folder and releases its lock.
func (f *folder) remove() error {
	for _, log := range f.logs {
		_ = log.Close()
	}
	err := os.RemoveAll(f.path)
	_ = f.lock.Close()
	if err != nil {
		return fmt.Errorf("remove the control plane's folder: %w", err)
	}
	return nil
}

// sweep removes folders and ends processes that are left over from earlier control planes. Something is left over only if
// the guard (guard.go) was killed together with the process that started the control plane, for example because their
// container was removed.
func sweep() error {
	folders, err := os.ReadDir(os.TempDir())
	if err != nil {
		return fmt.Errorf("list the folders of earlier control planes: %w", err)
	}
	for _, entry := range folders {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), folderPrefix) {
			continue
		}
		if err := sweepFolder(filepath.Join(os.TempDir(), entry.Name())); err != nil {
			return fmt.Errorf("remove the folder of an earlier control plane: %w", err)
		}
	}
	return nil
}

func sweepFolder(path string) error {
	// A missing lock file is not created, because another process may be removing the same folder.
	f := &folder{path: path, lock: flock.New(filepath.Join(path, lockName), flock.SetFlag(os.O_RDWR))}
	locked, err := f.lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil // The folder belongs to another account of this machine.
	case errors.Is(err, fs.ErrNotExist):
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < unlockedAfter {
			return nil
		}
		return f.remove()
	case err != nil:
		return err
	case !locked:
		return nil // The control plane is in use.
	}
	f.kill()
	return f.remove()
}
