package passwd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// files has the paths of the passwd file and of the optional group file, and the rules for the names in them. homes reports
// whether home fields are kept.
type files struct {
	passwd, group string
	rules         config.User
	homes         bool
	minUID        int64
}

// stamps show whether files have changed since they were read: by inode, size, mtime, and ctime, which no tool can set
// back. One change is not detected: the file is changed in place, keeps its size, and this happens in the clock tick of
// the file system (4 ms) in which the file was read.
type stamps struct{ passwd, group fs.FileInfo }

func (s *stamps) same(other *stamps) bool {
	return sameFile(s.passwd, other.passwd) && sameFile(s.group, other.group)
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && ctime(a) == ctime(b)
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

// stat returns the info of a regular file that is not too large.
func stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return info, readable(path, info)
}

func readable(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return &fault{path: path, why: "it is no file"}
	case info.Size() > maxSize:
		return tooLarge(path)
	}
	return nil
}

// pair is the two opened files. group is nil if there is no group file.
type pair struct {
	stamps
	passwd, group *os.File
}

func (f files) open() (*pair, error) {
	p := &pair{}
	var err error
	p.passwd, p.stamps.passwd, err = open(f.passwd)
	if err == nil && f.group != "" {
		p.group, p.stamps.group, err = open(f.group)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// open opens a regular file that is not too large. It does not block if the path is a pipe without a writer.
func open(path string) (*os.File, fs.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = readable(path, info)
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

func (p *pair) close() {
	for _, file := range []*os.File{p.passwd, p.group} {
		_ = file.Close() // The file was only read, or is nil.
	}
}

// read parses both files, and returns the table and the stamps of the files. It tries again if a file changes or is replaced
// meanwhile, because one file could be old and the other new. After an error about the content of the files, it also returns
// the stamps, so that these files are not read again until they change. After any other error, such as an I/O error, the
// stamps are nil, so that the files are read again even if they do not change. inUse is the previous table, which decides the
// capacity of the new one.
func (f files) read(inUse *table) (*table, *stamps, error) {
	for range 3 {
		opened, err := f.open()
		if err != nil {
			return nil, nil, err
		}
		users, err := f.parse(opened, inUse)
		opened.close()
		now, statErr := f.stat()
		if statErr != nil || !opened.same(now) {
			continue
		}
		var broken *fault
		if err != nil && !errors.As(err, &broken) {
			return nil, nil, err
		}
		return users, &opened.stamps, err
	}
	return nil, nil, fmt.Errorf("%s or the group file changes while it is read", f.passwd)
}

func (f files) parse(opened *pair, inUse *table) (*table, error) {
	users := newTable(inUse, f)
	if err := users.readPasswd(f.passwd, opened.passwd); err != nil {
		return nil, err
	}
	if opened.group == nil {
		return users, nil
	}
	if err := users.readGroup(f.group, opened.group); err != nil {
		return nil, err
	}
	return users, nil
}
