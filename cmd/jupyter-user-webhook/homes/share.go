package homes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// share is the share, or the volume of a further claim (share.directories), with its root directory open.
type share struct{ root *os.File }

// openShare opens the root of the share, and locks it. The lock only prevents two runs of one node from doing the same
// work. A run must be correct without the lock too, because on a network file system other nodes may not see the lock.
func openShare(ctx context.Context, o Options) (*share, error) {
	root, err := os.OpenFile(o.Share, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, writeError(fmt.Errorf("open the root of the share: %w", err))
	}
	s := &share{root}
	if err := checkOnlyRootWrites(root, "the root of the share"); err != nil {
		s.close()
		return nil, err
	}
	err = unix.Flock(s.fd(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		o.Say(Progress, "another run holds the lock of this share: this run waits until it ends")
		err = s.wait(ctx, o)
	}
	// Some file systems have no locks, and a run works without a lock.
	if err != nil && !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.EOPNOTSUPP) {
		s.close()
		return nil, fmt.Errorf("lock the root of the share: %w", err)
	}
	return s, nil
}

// lockPatience is how long a run waits for the lock. Any process that can open the root of the share on this node can hold
// the lock, so a run does not wait for ever.
var lockPatience = 5 * time.Minute

// lockPause is the time between two attempts to get the lock.
const lockPause = 100 * time.Millisecond

// wait waits for the lock, or until the context ends. After lockPatience it returns nil without the lock.
func (s *share) wait(ctx context.Context, o Options) error {
	end := time.After(lockPatience)
	for {
		err := unix.Flock(s.fd(), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-end:
			o.Say(Progress, fmt.Sprintf("the other run has not ended after %s: this run continues beside it", lockPatience))
			return nil
		case <-time.After(lockPause):
		}
	}
}

func (s *share) fd() int { return int(s.root.Fd()) }

// close unlocks and closes the root of the share. Without the explicit unlock, the lock would stay until a program that this
// process is just starting has closed its copy of the file.
func (s *share) close() {
	_ = unix.Flock(s.fd(), unix.LOCK_UN) // some file systems have no locks
	_ = s.root.Close()                   // the directory is not written
}

// open opens a directory of the share. It returns an error if a part of the path is a symbolic link, or leads out of the
// share.
func (s *share) open(dir string) (*os.File, error) {
	fd, err := openBeneath(s.fd(), dir)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s is a symbolic link, or is behind one: put the directory itself there", dir)
	case errors.Is(err, unix.ENOTDIR):
		return nil, fmt.Errorf("%s is no directory", dir)
	case errors.Is(err, unix.ENOSYS):
		return nil, final("this kernel cannot open a directory without following links (openat2, Linux 5.6): run on another node")
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, writeError(fmt.Errorf("open %s: %w", dir, err))
	}
	return os.NewFile(uintptr(fd), dir), nil
}

func openBeneath(dirFD int, path string) (fd int, err error) {
	how := &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	// The kernel can return EAGAIN if a directory of the path was renamed meanwhile.
	for err = unix.EAGAIN; errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR); {
		fd, err = unix.Openat2(dirFD, path, how)
	}
	return fd, err
}

// checkOnlyRootWrites returns an error unless the directory belongs to root and its mode lets only root write to it. Others
// who can write to it could replace the directories in it. displayName is the name of the directory in the error.
func checkOnlyRootWrites(dir *os.File, displayName string) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &stat); err != nil {
		return fmt.Errorf("look at %s: %w", displayName, err)
	}
	switch {
	case stat.Uid != 0:
		return fmt.Errorf("%s belongs to UID %d, who could replace a home with another directory: chown that directory to root",
			displayName, stat.Uid)
	case stat.Mode&0o022 != 0:
		return fmt.Errorf("%s may be written by others than root (mode %04o), who could replace a home with another "+
			"directory: chmod go-w it", displayName, stat.Mode&0o7777)
	}
	return nil
}
