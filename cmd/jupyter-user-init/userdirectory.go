package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// checkDirectory checks a directory of the user outside the home (share.directories with {user}). It must exist, must not
// be a file or a symbolic link, must belong to the user, and must not be in a directory that a user owns.
func checkDirectory(d handoff.Discover, dir string) error {
	stat, err := directory(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s has no directory of their own there: %s does not exist. Ask the admin to make it: "+
			"jupyter-user-webhook homes makes the directories that users of the directory service do not have yet", d.User, dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the share does not let others pass through %s (mode without x for others, and root_squash): ask the "+
			"admin for chmod o+x on it; the directories in it may stay closed", filepath.Dir(dir))
	case errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%s is mounted on demand (autofs), and the node cannot do that from inside of a Pod: ask the admin to "+
			"have its file system mounted on the node before Pods start", dir)
	case errors.Is(err, errSymlink):
		return fmt.Errorf("%s is a symbolic link, which could lead to another user's directory: ask the admin to put the "+
			"directory itself there", dir)
	case errors.Is(err, errNoDirectory):
		return fmt.Errorf("%s is no directory: ask the admin to move it away, and to make %s's directory there "+
			"(jupyter-user-webhook homes)", dir, d.User)
	case err != nil:
		return fmt.Errorf("the share does not say who owns %s: %w", dir, err)
	}
	parent, err := checkParent(d, filepath.Dir(dir), "the directory")
	if err != nil {
		return err
	}
	return cmp.Or(checkTreatedAsUser(d, filepath.Dir(dir), parent), checkDirectoryOwner(d, dir, int64(stat.Uid)))
}

func checkDirectoryOwner(d handoff.Discover, dir string, owner int64) error {
	nobody := identity.CheckOwner(owner)
	switch {
	case owner == d.Expect.UID:
		return nil
	case owner == 0:
		return fmt.Errorf("%s belongs to root, and must belong to %s (UID %d): its file system is not mounted, or the directory was "+
			"made and not given to its user. Ask the admin to mount it, for chown on it, or to remove it where it is empty: "+
			"jupyter-user-webhook homes makes it then", dir, d.User, d.Expect.UID)
	case nobody != nil:
		return fmt.Errorf("%s must belong to %s (UID %d), and its owner is unknown: %w. Ask the admin to look at the ID "+
			"mapping of NFS on the node and on the server", dir, d.User, d.Expect.UID, nobody)
	}
	return fmt.Errorf("%s belongs to UID %d, and must belong to %s (UID %d). Ask the admin whose it is: once it is moved away, "+
		"jupyter-user-webhook homes makes one for %s", dir, owner, d.User, d.Expect.UID, d.User)
}
