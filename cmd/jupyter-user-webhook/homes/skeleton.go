package homes

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	// maxEntries and maxBytes limit a skeleton, which is kept in memory.
	maxEntries = 1000
	maxBytes   = 16 << 20
)

// Skeleton is the initial content of a home: directories, files and symbolic links.
type Skeleton struct{ entries []entry }

type entry struct {
	path string
	// mode has the type of the file and its permissions. The setuid, setgid and sticky bits are left out.
	mode fs.FileMode
	// content is the content of a regular file, and target the target of a symbolic link.
	content []byte
	target  string
}

// kubernetesData is the name of a link in a mounted ConfigMap, to the directory with the files. For each key, the mount has
// a link to the file of the key in that directory.
const kubernetesData = "..data"

// ReadSkeleton reads a directory, or the files of a mounted ConfigMap. It does not follow the links in the directory: a
// link stays a link in the home. It returns an error for devices, sockets and pipes.
func ReadSkeleton(dir string) (*Skeleton, error) {
	if info, err := os.Stat(dir + "/" + kubernetesData); err == nil && info.IsDir() {
		dir += "/" + kubernetesData
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // the directory is only read
	s, size := &Skeleton{}, 0
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		e, err := readEntry(root, path)
		if err != nil {
			return err
		}
		s.entries = append(s.entries, e)
		if size += len(e.content); len(s.entries) > maxEntries || size > maxBytes {
			return fmt.Errorf("it has more than %d files or %d MiB, which is too large for a home", maxEntries, maxBytes>>20)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func readEntry(root *os.Root, path string) (entry, error) {
	info, err := root.Lstat(path)
	if err != nil {
		return entry{}, err
	}
	e := entry{path: path, mode: info.Mode() & (fs.ModeType | fs.ModePerm)}
	switch e.mode.Type() {
	case fs.ModeDir:
	case fs.ModeSymlink:
		e.target, err = root.Readlink(path)
	case 0:
		e.content, err = readFile(root, path)
	default:
		return entry{}, fmt.Errorf("%s is a device, a socket or a pipe, which a home must not contain: remove it", path)
	}
	return e, err
}

// readFile reads a regular file. If a pipe has replaced the file meanwhile, readFile does not wait for a writer.
func readFile(root *os.Root, path string) ([]byte, error) {
	file, err := root.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the file is only read
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(path + " is no file any more")
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, maxBytes+1))
}

// fill returns the function that writes the skeleton into a home and gives the content to the user. The function writes
// contents and modes before owners, because root may lack the capability (FOWNER) to change the mode of a file that belongs
// to another user.
func (s *Skeleton) fill(uid, gid int) func(*os.Root) error {
	return func(home *os.Root) error {
		if s == nil {
			return nil
		}
		for _, e := range s.entries {
			if err := e.write(home); err != nil {
				return err
			}
		}
		for _, e := range slices.Backward(s.entries) {
			if e.mode.Type() != fs.ModeSymlink {
				if err := home.Chmod(e.path, e.mode.Perm()); err != nil {
					return err
				}
			}
			if err := home.Lchown(e.path, uid, gid); err != nil {
				return err
			}
		}
		return nil
	}
}

func (e *entry) write(home *os.Root) error {
	switch e.mode.Type() {
	case fs.ModeDir:
		return home.Mkdir(e.path, 0o700)
	case fs.ModeSymlink:
		return home.Symlink(e.target, e.path)
	}
	file, err := home.OpenFile(e.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(e.content)
	// A server can report a full disk as late as on close.
	return errors.Join(err, file.Close())
}
