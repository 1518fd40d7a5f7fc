package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// oPath is O_PATH of open(2), which package syscall does not name.
const oPath = 0x200000

var (
	errNoDirectory = errors.New("is no directory")
	errSymlink     = errors.New("is a symbolic link")
)

// directory returns owner, inode and device of a directory, and errNoDirectory or errSymlink for anything else.
//
// The directory is opened and not only looked at: a home that is a file system of its own, as NFS v4 and autofs have them, is
// mounted by opening it, and until then stat returns the directory below. With O_PATH that takes no right on the home.
func directory(path string) (*syscall.Stat_t, error) {
	f, err := os.OpenFile(path, oPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		if info, lstatErr := os.Lstat(path); lstatErr == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, errSymlink
		}
		return nil, errNoDirectory
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing is written to it
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("this system does not say who owns a directory")
	}
	return stat, nil
}
