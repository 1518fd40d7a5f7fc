package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// notice is a message that the user should read, but that does not prevent the start.
type notice string

func (n notice) Error() string { return string(n) }

// The functions from homeFull to homeClosed return messages about a home that its owner cannot write to. These messages are
// needed because Jupyter itself can fail in such a home without naming the cause.

func homeFull(home string) string {
	return fmt.Sprintf("no space is left for the home %s, because its file system is full: the notebook starts, and nothing can "+
		"be saved there. Delete files, or ask the admin for space", home)
}

func homeOutOfFiles(home string) string {
	return fmt.Sprintf("no more files can be made in the home %s, because its file system has as many as it can: the notebook "+
		"starts, and nothing can be saved there. Delete files, or ask the admin for more", home)
}

func homeOverQuota(home, user string) string {
	return fmt.Sprintf("%s is over quota, so that nothing can be written to the home %s: the notebook starts, and nothing can be "+
		"saved there. Delete files, or ask the admin for a higher quota", user, home)
}

func homeReadOnly(home string) string {
	return fmt.Sprintf("the home %s is on a file system that is mounted read-only: the notebook starts, and nothing can be saved "+
		"there. Ask the admin whether that is meant", home)
}

func homeOfMode(home string, mode uint32) string {
	return fmt.Sprintf("the home %s has the mode %04o, by which its owner cannot write to it: the notebook starts, and nothing "+
		"can be saved there. chmod u+wx it", home, mode)
}

func homeClosed(home, user string, uid int64) string {
	return fmt.Sprintf("the share does not let %s (%d) write to the home %s, though its mode does: the notebook starts, and "+
		"nothing can be saved there. Ask the admin whether the export is read-only, or how the server maps that UID", user, uid, home)
}

// checkWritable returns the message about the reason why the owner cannot write to the home, or "" if there is no visible
// reason. It cannot see that the owner is over quota: it does not write, because the init container mounts the homes
// read-only.
func checkWritable(home string, owner handoff.Owner) string {
	stat, err := directory(home)
	if err != nil {
		return ""
	}
	const write = 2 // W_OK of access(2)
	switch {
	case fileSystemAccess(stat.Dev) == "ro":
		return homeReadOnly(home)
	case !ownerMayWrite(stat):
		return homeOfMode(home, stat.Mode&0o7777)
	case int64(os.Getuid()) == owner.UID && errors.Is(syscall.Access(home, write), syscall.EACCES):
		return homeClosed(home, owner.Name, owner.UID)
	}
	return noSpace(home)
}

func ownerMayWrite(stat *syscall.Stat_t) bool {
	const writeAndSearch = 0o300
	return stat.Mode&writeAndSearch == writeAndSearch
}

// noSpace returns the message that the file system of the home has no free blocks or no free inodes, or "". Some file
// systems do not limit blocks or inodes, and report 0 for their total.
func noSpace(home string) string {
	var free syscall.Statfs_t
	if err := syscall.Statfs(home, &free); err != nil {
		return ""
	}
	switch {
	case free.Blocks > 0 && free.Bavail == 0:
		return homeFull(home)
	case free.Files > 0 && free.Ffree == 0:
		return homeOutOfFiles(home)
	}
	return ""
}

// fileSystemAccess returns "ro" or "rw" for the file system with the given device number, or "" if it is unknown. A read-only
// mount of a writable file system is "rw". In mountinfo the last field, after the -, begins with the value for the file system:
//
//	36 35 98:0 /mnt1 /mnt2 ro,noatime master:1 - ext4 /dev/root rw,errors=continue
func fileSystemAccess(device uint64) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	major, minor := device>>8&0xfff|device>>32&^0xfff, device&0xff|device>>12&^0xff
	number := fmt.Sprintf("%d:%d", major, minor)
	for line := range strings.Lines(string(mounts)) {
		mount, system, _ := strings.Cut(line, " - ")
		fields, options := strings.Fields(mount), strings.Fields(system)
		if len(fields) < 3 || fields[2] != number || len(options) == 0 {
			continue
		}
		access, _, _ := strings.Cut(options[len(options)-1], ",")
		return access
	}
	return ""
}

// tryWriting writes a file to the home as the user, because only an attempt to write shows that the user is over quota.
// tryWriting returns a notice if the attempt fails, and another error if the file does not belong to the user.
func tryWriting(home string, owner handoff.Owner) error {
	info, err := writeAndRemove(home)
	if info != nil {
		if err := checkCreator(home, owner, info); err != nil {
			return err
		}
	}
	if why := unwritableMessage(home, owner, err); why != "" {
		return notice(why)
	}
	return nil
}

// writeAndRemove writes a small file, waits until the file is on the server, and removes the file. An error because of a
// quota can come as late as the Sync. writeAndRemove also returns the status of the file, or nil if there is no file.
func writeAndRemove(dir string) (os.FileInfo, error) {
	f, err := os.CreateTemp(dir, ".jupyter-user-init-")
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	_, writeErr := f.Write(bytes.Repeat([]byte("jupyter-user"), 400))
	return info, errors.Join(err, writeErr, f.Sync(), f.Close(), os.Remove(f.Name()))
}

func unwritableMessage(home string, owner handoff.Owner, err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.EDQUOT):
		return homeOverQuota(home, owner.Name)
	case errors.Is(err, syscall.ENOSPC):
		if why := noSpace(home); why != "" {
			return why
		}
		return homeFull(home)
	case errors.Is(err, syscall.EROFS):
		return homeReadOnly(home)
	case errors.Is(err, fs.ErrPermission):
		if stat, err := directory(home); err == nil && !ownerMayWrite(stat) {
			return homeOfMode(home, stat.Mode&0o7777)
		}
		return homeClosed(home, owner.Name, owner.UID)
	}
	return fmt.Sprintf("the home %s cannot be written to: %v. The notebook starts, and nothing can be saved there; ask the admin",
		home, cause(err))
}
