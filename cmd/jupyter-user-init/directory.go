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

// directory returns owner, inode and device of a directory, or errNoDirectory or errSymlink.
//
// It opens the directory before stat: a home that is its own file system, as with NFS v4 and autofs, is mounted when it is
// opened, and until then stat returns the directory below. O_PATH needs no permission on the home.
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
