package passwd

import (
	"io/fs"
	"syscall"
)

// ctime returns the time at which the inode of a file was last changed.
func ctime(info fs.FileInfo) syscall.Timespec {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ctim
	}
	return syscall.Timespec{}
}
