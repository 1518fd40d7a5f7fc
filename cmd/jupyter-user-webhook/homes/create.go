package homes

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// stagingPrefix begins the name of a directory that is not finished. No user can have such a name, because a user name
// cannot begin with a dot.
const stagingPrefix = ".jupyter-user-homes-"

type owner struct {
	uid, gid int
	mode     fs.FileMode
}

// exists reports whether the directory of a user exists. It returns false if the directory for {initial} above is missing.
func (r *run) exists(pattern config.HomePattern, name string, uid int64) (bool, error) {
	p, err := r.parent(pattern, name, skipInitial)
	if errors.Is(err, errInitialMissing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return p.hasDirectory(name, uid)
}

// hasDirectory reports whether the directory exists. It returns an error if the directory belongs to another UID (AnyUID
// accepts each owner), or if a file or a symbolic link has the name. The directory can be a mount point of its own, which the
// kernel mounts only when a program opens the directory (automount). So hasDirectory opens the directory before it looks at the
// owner. Opening with O_PATH needs no permission on the directory.
func (p *parent) hasDirectory(name string, uid int64) (bool, error) {
	fd, err := unix.Openat(p.fd(), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return false, errors.New("is a file or a symbolic link, and not a home: put the directory itself there")
	case err != nil:
		return false, fmt.Errorf("look at it: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // the directory is not written
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return false, fmt.Errorf("look at it: %w", err)
	}
	if uid != AnyUID && int64(stat.Uid) != uid {
		return false, fmt.Errorf("is there already and belongs to UID %d, and the user has UID %d: give it to the user, or move "+
			"it away", stat.Uid, uid)
	}
	return true, nil
}

// directory makes one directory of a user. It reports a failure as an outcome, and returns an error only if the run must end.
func (r *run) directory(pattern config.HomePattern, name string, id identity.Identity) error {
	dir := r.displayName(pattern, name)
	p, err := r.parent(pattern, name, r.makeInitial)
	if r.DryRun && (err == nil || errors.Is(err, errInitialMissing)) {
		r.say(WouldBe, "%s, for %s", dir, id)
		return nil
	}
	if err == nil {
		err = p.create(name, r.content(pattern).fill(int(id.UID), int(id.GID)), owner{int(id.UID), int(id.GID), r.Mode})
	}
	if errors.Is(err, fs.ErrExist) {
		// The path exists now. Usually a run on another node has made the home in the meantime.
		var there bool
		if there, err = p.hasDirectory(name, id.UID); there {
			r.Existing++
			return nil
		}
		if err == nil {
			err = errors.New("another run made and removed it meanwhile: the next run makes it")
		}
	}
	switch {
	case isFinal(err):
		return fmt.Errorf("make %s: %w", dir, err)
	case err != nil:
		r.say(Failed, "%s: %v", dir, err)
	default:
		r.say(Made, "%s, for %s", dir, id)
	}
	return nil
}

// displayName returns the path of a user's directory for the output. On a further claim the path begins with the name of
// the claim.
func (r *run) displayName(pattern config.HomePattern, name string) string {
	return path.Join(r.Claim, pattern.Of(name))
}

// content returns the initial content of a user's directory: the skeleton for a home, nil for another directory.
func (r *run) content(pattern config.HomePattern) *Skeleton {
	if r.Claim == "" && !r.Config.Share.HomesByField() && pattern == r.Config.Share.Home {
		return r.Skeleton
	}
	return nil
}

// attempts is how often a run tries at most to make a directory. It tries again if an attempt has failed and the unfinished
// directory does not exist, for example because a run on another node has removed it.
const attempts = 3

// create makes a directory completely, with its content and its owner, or returns an error. The error is fs.ErrExist if
// something is at the path.
func (p *parent) create(name string, fill func(*os.Root) error, o owner) (err error) {
	for range attempts {
		staging := stagingPrefix + rand.Text()
		if err = p.stage(staging, fill, o); err == nil {
			err = p.rename(staging, name)
		}
		if err == nil {
			return nil
		}
		if _, gone := p.inside.Lstat(staging); errors.Is(gone, fs.ErrNotExist) {
			continue
		}
		err = writeError(err)
		if left := p.remove(staging); left != nil {
			err = fmt.Errorf("%w; and %s is left behind: %w", err, path.Join(p.dir, staging), left)
		}
		return err
	}
	return writeError(err)
}

// stage makes a directory that only root can enter, fills it, and gives it to its owner as the last step.
func (p *parent) stage(staging string, fill func(*os.Root) error, o owner) error {
	if err := p.inside.Mkdir(staging, 0o700); err != nil {
		return err
	}
	inside, err := p.inside.OpenRoot(staging)
	if err != nil {
		return err
	}
	defer inside.Close() //nolint:errcheck // the files written in the directory are closed
	// The new directory can get rights for other users from the setgid bit or a default ACL of the directory above. With POSIX
	// ACLs, Chmod takes these rights away. A server with NFSv4 ACLs can keep inherited entries, which a client does not see in
	// the mode (ZFS with aclmode=passthrough), or return EPERM (aclmode=restricted).
	if err := inside.Chmod(".", 0o700); err != nil {
		return err
	}
	if err := fill(inside); err != nil {
		return err
	}
	if err := inside.Chmod(".", o.mode); err != nil {
		return err
	}
	if err := inside.Chown(".", o.uid, o.gid); err != nil {
		return err
	}
	info, err := inside.Stat(".")
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != o.uid {
		return fmt.Errorf("it was given to UID %d, but the server shows UID %d: check how the server maps UIDs (root_squash, idmapd)",
			o.uid, stat.Uid)
	}
	return nil
}

// rename gives a staged directory its name. It must not replace a directory that already has this name. Some file systems,
// such as NFS, have no rename with this condition, and replace an empty directory. For such a file system, rename first
// checks that the name is absent. An empty directory that another node makes between the check and the rename is replaced.
func (p *parent) rename(staging, name string) error {
	err := unix.Renameat2(p.fd(), staging, p.fd(), name, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	var stat unix.Stat_t
	switch err := unix.Fstatat(p.fd(), name, &stat, unix.AT_SYMLINK_NOFOLLOW); {
	case err == nil:
		return fs.ErrExist
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	err = unix.Renameat(p.fd(), staging, p.fd(), name)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) {
		return fs.ErrExist
	}
	return err
}

// remove removes an unfinished directory. A run on another node may still work on the directory, so remove first gives it another
// name. Then the other run cannot finish the home. If the other run has already finished the home, there is nothing to remove. An
// error of the removal itself is not final: the directory may already belong to its user, who can have put something into it that
// root cannot remove without the capability FOWNER.
func (p *parent) remove(staging string) error {
	gone := stagingPrefix + rand.Text()
	switch err := p.inside.Rename(staging, gone); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return writeError(err)
	}
	if err := p.inside.RemoveAll(gone); err != nil {
		return fmt.Errorf("its name is %s now: %w", gone, err)
	}
	return nil
}
