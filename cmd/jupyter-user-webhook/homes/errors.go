package homes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// finalError ends a run, because its cause would prevent the other homes too.
type finalError struct{ error }

func final(format string, args ...any) error { return finalError{fmt.Errorf(format, args...)} }

func (e finalError) Unwrap() error { return e.error }

func isFinal(err error) bool {
	_, is := errors.AsType[finalError](err)
	return is
}

// writeError returns the error of a failed change to the share. The error is a finalError if the other homes would fail too.
func writeError(err error) error {
	switch {
	case err == nil, isFinal(err):
		return err
	case isChmod(err) && errors.Is(err, unix.EPERM):
		return final("the share does not let this process set the mode of a directory that it has made: its server keeps ACLs (ZFS "+
			"with aclmode=restricted, ONTAP). Remove the inheritable entries of the ACLs above the homes, or let the server accept a "+
			"change of the mode: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return final("the share does not let this process (UID %d) make directories and give them to users: either its server maps "+
			"root to nobody for this node (root_squash), or the process is not root or lacks the capabilities CHOWN and DAC_OVERRIDE. "+
			"Run it as root on the node for which the export has no_root_squash: %w", os.Geteuid(), err)
	case errors.Is(err, unix.EROFS):
		return final("the share is mounted read-only here: %w", err)
	case errors.Is(err, unix.ENOSPC):
		return final("the share is full: %w", err)
	}
	return err
}

// isChmod reports whether a change of a mode has failed. At that time the process still owns the file or directory, so neither
// root_squash nor a missing capability can be the cause.
func isChmod(err error) bool {
	path, is := errors.AsType[*fs.PathError](err)
	return is && path.Op == "chmodat"
}
