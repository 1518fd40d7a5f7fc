package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// discover finds the owner of the home and writes the files for the notebook container. If discover then sees that the owner
// cannot write to the home, it returns a notice, which does not fail the init container.
func discover(d handoff.Discover) error {
	owner, err := find(d)
	if err != nil {
		return err
	}
	id, err := check(d, owner)
	if err != nil {
		return err
	}
	if err := enter(d, id); err != nil {
		return err
	}
	for _, dir := range d.Directories {
		if err := checkDirectory(d, dir); err != nil {
			return err
		}
	}
	if err := writeFiles(d, owner, id); err != nil {
		return fmt.Errorf("cannot write to %s, the pod's scratch volume: %w", d.Scratch, err)
	}
	fmt.Printf("%s is %s\n", d.User, id)
	if why := checkWritable(filepath.Join(d.Homes, d.User), owner); why != "" {
		return notice(why)
	}
	return nil
}

// find returns the owner of the home. It also checks who owns the directory that contains the home, and who may write in that
// directory. find does not list the homes, does not follow a symbolic link at the home's path, and needs no permission on the
// home.
func find(d handoff.Discover) (handoff.Owner, error) {
	home := filepath.Join(d.Homes, d.User)
	stat, err := directory(home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return handoff.Owner{}, fmt.Errorf("%s has no home: %s does not exist on the share. Check the name, or ask the admin to "+
			"make it: jupyter-user-webhook homes makes the homes that users of the directory service do not have yet", d.User, home)
	case errors.Is(err, fs.ErrPermission):
		return handoff.Owner{}, fmt.Errorf("the share does not let others pass through %s (mode without x for others, and "+
			"root_squash): ask the admin for chmod o+x on it; the homes in it may stay closed", d.Homes)
	case errors.Is(err, syscall.ELOOP):
		return handoff.Owner{}, fmt.Errorf("%s is mounted on demand (autofs), and the node cannot do that from inside of a Pod: ask "+
			"the admin to have the file system of the home mounted on the node before Pods start", home)
	case errors.Is(err, errSymlink):
		return handoff.Owner{}, fmt.Errorf("%s is a symbolic link, which could lead to another user's home: ask the admin to "+
			"put the directory itself there", home)
	case errors.Is(err, errNoDirectory):
		return handoff.Owner{}, fmt.Errorf("%s is no directory: ask the admin to put %s's home there", home, d.User)
	case err != nil:
		return handoff.Owner{}, fmt.Errorf("the share does not say who owns %s: %w", home, err)
	}
	parent, err := checkParent(d, d.Homes, "the home")
	if err != nil {
		return handoff.Owner{}, err
	}
	if err := cmp.Or(checkWriters(d, parent), checkTreatedAsUser(d, d.Homes, parent)); err != nil {
		return handoff.Owner{}, err
	}
	return handoff.Owner{
		UID: int64(stat.Uid), GID: int64(stat.Gid), Name: d.User, HomeInode: stat.Ino, HomeDevice: stat.Dev,
	}, nil
}

// checkParent returns the status of parent, the directory that contains the home or another directory of the user. It
// returns an error if parent belongs to a user, who could replace the directories in it, or to nobody, because then the real
// owner is unknown. The parameter contained names the directory in parent for the error, such as "the home".
func checkParent(d handoff.Discover, parent, contained string) (*syscall.Stat_t, error) {
	stat, err := directory(parent)
	if err != nil {
		return nil, fmt.Errorf("the share does not say who owns %s: %w", parent, err)
	}
	owner := int64(stat.Uid)
	if !identity.CanBeUser(owner, d.MinUID) {
		return stat, nil
	}
	if err := identity.CheckOwner(owner); err != nil {
		return nil, fmt.Errorf("the share does not show who owns %s, which contains %s of %s: %w. Ask the admin to look at the "+
			"ID mapping of NFS on the node and on the server", parent, contained, d.User, err)
	}
	return nil, fmt.Errorf("%s, which contains %s of %s, belongs to UID %d: its owner could replace %s with another "+
		"directory. Ask the admin to chown that directory to root",
		parent, contained, d.User, owner, strings.Replace(contained, "the", "a", 1))
}

// checkWriters returns an error, with discovery at start only, if the directory of the homes, whose status is stat, can be
// written by accounts other than its owner and the members of the group root (identity.OthersWrite). Such an account could
// give its own home the name of another user. The sticky bit is not enough: after this check, and before the notebook
// container starts as root, an account could still replace its own home with a link.
func checkWriters(d handoff.Discover, stat *syscall.Stat_t) error {
	if d.Expect != nil || !identity.OthersWrite(stat.Mode, int64(stat.Gid)) {
		return nil
	}
	return fmt.Errorf("others than root may write in %s, which contains the home of %s (mode %04o): they could replace a home "+
		"with another directory. Ask the admin for chmod go-w on that directory", d.Homes, d.User, stat.Mode&0o7777)
}

// check returns the identity of the notebook: the identity that the Pod was admitted with, or else the owner's. check
// returns an error if the owner's UID is not the admitted UID, or if the identity is not usable, for example if its UID is
// below minUID. The UIDs of root and nobody are denied first, because such an owner shows a fault of the share, and not a
// change of the owner.
func check(d handoff.Discover, owner handoff.Owner) (identity.Identity, error) {
	id := identity.New(owner.UID, owner.GID, nil)
	if err := identity.CheckOwner(owner.UID); err != nil {
		return id, notAUsers(d, err)
	}
	if e := d.Expect; e != nil {
		if e.UID != owner.UID {
			return id, fmt.Errorf("the home of %s belongs to UID %d, and the pod was admitted as UID %d: the owner has changed "+
				"since, or differs in passwd. Create the Pod again; if it stays so, ask the admin", d.User, owner.UID, e.UID)
		}
		id = identity.New(e.UID, e.GID, e.Groups)
	}
	floor := identity.Floor{MinUID: d.MinUID, MinGID: d.MinGID, DeniedGIDs: d.DeniedGIDs}
	if err := floor.Check(id); err != nil {
		return id, notAUsers(d, err)
	}
	return id, nil
}

func notAUsers(d handoff.Discover, why error) error {
	return fmt.Errorf("the home of %s has an owner who cannot run a notebook: %w", d.User, why)
}

// enter checks that the user may read and enter the home, if this process already runs as the user, as with discovery at
// admission. The user may not if the mode denies the home to its owner, or if the server maps the UID to an account that may not
// read the home. A server that maps the UID to root lets the user enter: checkTreatedAsUser finds such a server.
func enter(d handoff.Discover, id identity.Identity) error {
	if int64(os.Getuid()) != id.UID {
		return nil
	}
	home := filepath.Join(d.Homes, d.User)
	const read, search = 4, 1 // R_OK and X_OK of access(2)
	if err := syscall.Access(home, read|search); err != nil {
		return fmt.Errorf("%s may not enter the home %s as UID %d: %w. Ask the admin for chmod u+rwx on it, or how the server maps "+
			"that UID", d.User, home, id.UID, err)
	}
	return nil
}

// writeFiles writes the files of the scratch volume. Each file appears complete or not at all. uid-gid.env is the last: if it
// exists, the other files exist too.
func writeFiles(d handoff.Discover, owner handoff.Owner, id identity.Identity) error {
	account := handoff.Account{Name: d.User, Home: d.Home, UID: id.UID, GID: id.GID, Groups: id.Groups}
	passwd, err := account.Passwd()
	if err != nil {
		return err
	}
	group, err := account.Group()
	if err != nil {
		return err
	}
	files, err := handoff.JupyterFiles(cmp.Or(d.JupyterConfig, handoff.JupyterConfig))
	if err != nil {
		return err
	}
	if d.Umask != "" {
		files[handoff.CommonConfigFile] = handoff.UmaskFile(d.Umask)
	}
	files[handoff.PasswdFile], files[handoff.GroupFile] = passwd, group
	owner.GID = id.GID
	for name, content := range files {
		if err := write(d.Scratch, name, content); err != nil {
			return err
		}
	}
	if d.Expect == nil {
		// The notebook container starts as root and needs the program that becomes the user.
		if err := copySelf(d.Scratch); err != nil {
			return err
		}
	}
	return write(d.Scratch, handoff.EnvFile, owner.Env())
}

func copySelf(scratch string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close() //nolint:errcheck // the file is only read
	return replace(scratch, handoff.Binary, 0o755, func(f *os.File) error {
		_, err := io.Copy(f, self)
		return err
	})
}

// write writes a file that every UID can read.
func write(dir, name string, content []byte) error {
	return replace(dir, name, 0o644, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// replace creates or replaces a file atomically: a reader sees the old file or the new file. fill writes the content.
func replace(dir, name string, mode fs.FileMode, fill func(*os.File) error) error {
	f, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return err
	}
	// Only the creator can read a file of CreateTemp. With discovery at start, the notebook container reads it with another UID.
	err = errors.Join(fill(f), f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
