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
	// folderPrefix is what the folders of control planes are called, in the folder for temporary files.
	folderPrefix = "jupyter-user-controlplane-"
	// lockName is the file whose lock says that the process which started the control plane lives. The kernel drops it
	// with the process.
	lockName = "owner.lock"
	// unlockedAfter is when a folder without such a file is one whose owner died while creating it.
	unlockedAfter = time.Minute
)

// A folder holds everything that a control plane has on disk.
type folder struct {
	path string
	lock *flock.Flock
	logs []*os.File
}

// newFolder creates a folder that is known to be in use for as long as this process lives.
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
	// Locked first and named afterwards, so that nobody sees it under its name without its lock.
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

// createLog creates the file that a program writes its log to. A file rather than a pipe, so that the program never
// waits for anybody to read it.
func (f *folder) createLog(program string) (*os.File, error) {
	log, err := os.Create(f.join(program + ".log"))
	if err != nil {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	f.logs = append(f.logs, log)
	return log, nil
}

// logTails is the end of every log, for an error.
func (f *folder) logTails() string {
	var names []string
	for _, log := range f.logs {
		names = append(names, log.Name())
	}
	return progress.Ends(names...)
}

// remove removes the folder and gives its lock up.
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

// sweep removes what control planes left whose process died together with its guard, as when a container is killed.
func sweep() error {
	folders, err := os.ReadDir(os.TempDir())
	if err != nil {
		return fmt.Errorf("look for what an earlier control plane left: %w", err)
	}
	for _, entry := range folders {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), folderPrefix) {
			continue
		}
		if err := sweepFolder(filepath.Join(os.TempDir(), entry.Name())); err != nil {
			return fmt.Errorf("remove what an earlier control plane left: %w", err)
		}
	}
	return nil
}

func sweepFolder(path string) error {
	// Not created if it is missing: others may be removing the same folder.
	f := &folder{path: path, lock: flock.New(filepath.Join(path, lockName), flock.SetFlag(os.O_RDWR))}
	locked, err := f.lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil // Somebody else's, on a machine that is shared.
	case errors.Is(err, fs.ErrNotExist):
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < unlockedAfter {
			return nil
		}
		return f.remove()
	case err != nil:
		return err
	case !locked:
		return nil // In use.
	}
	f.kill()
	return f.remove()
}
