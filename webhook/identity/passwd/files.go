package passwd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// files are the paths of a pair. The group file may be none.
type files struct{ passwd, group string }

// stamps tell whether files are still those that were read. Size and time alone would miss a ConfigMap that is swapped for one
// of the same second and size, a symbolic link away; os.SameFile compares the inodes. What goes unseen is a file that is written
// in place, to the same size, within the tick of the file system's clock (4 ms) in which it was read.
type stamps struct{ passwd, group fs.FileInfo }

func (s *stamps) same(other *stamps) bool {
	return sameFile(s.passwd, other.passwd) && sameFile(s.group, other.group)
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (f files) stat() (*stamps, error) {
	passwd, err := stat(f.passwd)
	if err != nil {
		return nil, err
	}
	if f.group == "" {
		return &stamps{passwd: passwd}, nil
	}
	group, err := stat(f.group)
	if err != nil {
		return nil, err
	}
	return &stamps{passwd, group}, nil
}

// stat finds a file that can be read: opening a pipe would wait for somebody who writes into it.
func stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fault{path: path, why: "it is no file"}
	case info.Size() > maxSize:
		return nil, tooLarge(path)
	}
	return info, nil
}

// read makes a table of both files as they are now, and says which files these were; nil where they are to be read again, though
// nothing changes. Paths that lead elsewhere after reading than before it may have led to one old file and one new.
func (f files) read(inUse *table) (*table, *stamps, error) {
	for range 3 {
		before, err := f.stat()
		if err != nil {
			return nil, nil, err
		}
		people, err := f.parse(inUse)
		after, statErr := f.stat()
		if statErr != nil || !before.same(after) {
			continue
		}
		var broken *fault
		if err != nil && !errors.As(err, &broken) {
			return nil, nil, err
		}
		return people, before, err
	}
	return nil, nil, fmt.Errorf("%s or the group file changes while it is read", f.passwd)
}

func (f files) parse(inUse *table) (*table, error) {
	people := newTable(inUse)
	if err := parse(f.passwd, people.readPasswd); err != nil {
		return nil, err
	}
	if f.group == "" {
		return people, nil
	}
	if err := parse(f.group, people.readGroup); err != nil {
		return nil, err
	}
	return people, nil
}

func parse(path string, read func(path string, file io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	return read(path, file)
}
