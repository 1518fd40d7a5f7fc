package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// An NFS server can map every UID to root or to another account. Then the UID of a process restricts nothing on the server,
// and neither the owner nor the mode of a home shows that. The functions of this file find such a server.

// mappings is the part of a message that names the usual settings for such a mapping.
const mappings = "it maps users to one account (all_squash, mapall, an EFS access point with a user)"

// checkCreator returns an error if a new file in the home, whose status is info, does not belong to the user who made it.
func checkCreator(home string, owner handoff.Owner, info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int64(stat.Uid) == owner.UID {
		return nil
	}
	return fmt.Errorf("the NFS server gives new files in the home %s to UID %d, and not to %s (%d): %s, so ask the admin to "+
		"switch this off", home, stat.Uid, owner.Name, owner.UID, mappings)
}

// checkTreatedAsUser returns an error, with discovery at admission only, if the server lets the user write in a directory whose
// mode lets only its owner and the group root write (identity.OthersWrite). The directory contains homes, or other directories of
// users; stat is its status. With discovery at start this process does not run as the user, and tryWriting makes a file as the
// user later.
func checkTreatedAsUser(d handoff.Discover, dir string, stat *syscall.Stat_t) error {
	isUser := d.Expect != nil && int64(os.Getuid()) == d.Expect.UID
	if !isUser || identity.OthersWrite(stat.Mode, int64(stat.Gid)) || !mayWrite(dir, stat.Dev) {
		return nil
	}
	return fmt.Errorf("the server lets %s (%d) write in %s, which contains the homes or directories of users and in which only "+
		"its owner, UID %d, may write (mode %04o): %s, or an ACL there lets %s write. Ask the admin to switch this off",
		d.User, d.Expect.UID, dir, stat.Uid, stat.Mode&0o7777, mappings, d.User)
}

// mayWrite reports whether the server of a directory lets this process write in the directory, also if the mount is
// read-only. access(2) on NFS asks the server. For a read-only mount of a writable file system, the kernel returns EROFS only
// if the server allows writing. For a read-only file system, the kernel returns EROFS without asking the server, so mayWrite
// returns false. With FUSE, mayWrite also returns false: access(2) can succeed for everyone there, because the program of the
// file system checks only the write itself.
func mayWrite(dir string, device uint64) bool {
	const write, fuse = 2, 0x65735546 // W_OK of access(2), and f_type of statfs(2)
	var system syscall.Statfs_t
	if err := syscall.Statfs(dir, &system); err != nil || system.Type == fuse {
		return false
	}
	err := syscall.Access(dir, write)
	return err == nil || errors.Is(err, syscall.EROFS) && fileSystemAccess(device) == "rw"
}
