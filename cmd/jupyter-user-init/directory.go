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

// directory returns the status of a directory, as stat(2) does. The error is errSymlink for a symbolic link, and
// errNoDirectory for any other file that is no directory.
//
// The path is opened first. With NFS v4 and autofs, a home can be a file system of its own, which the kernel mounts only
// when the home is opened. Before that, stat returns the status of the mount point. Opening with O_PATH needs no permission
// on the directory.
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
	defer f.Close() //nolint:errcheck // the directory is not written
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
