package share

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// lookAbove checks each directory between the root of the share and a home, because the owner of such a directory can replace
// the home, and so can anyone who may write in a directory without the sticky bit. The error is an *identity.Unusable if a
// directory makes the home unusable.
func (s *Source) lookAbove(home string) error {
	for end, letter := range home {
		if letter != '/' {
			continue
		}
		dir := home[:end]
		info, err := s.lstat(filepath.Join(s.share, dir))
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("this system does not show who owns a directory")
		}
		mode := uint32(stat.Mode) //nolint:unconvert // On macOS, the mode has 16 bits.
		parent := identity.BadParent{Dir: dir, Owner: int64(stat.Uid), Link: info.Mode()&fs.ModeSymlink != 0}
		switch {
		case parent.Link:
			return &identity.Unusable{Why: fmt.Sprintf("%s, above a home, is a symbolic link", dir), Parent: &parent}
		case identity.CanBeUser(parent.Owner, s.minUID):
			return &identity.Unusable{Why: fmt.Sprintf("%s, above a home, belongs to UID %d", dir, parent.Owner), Parent: &parent}
		case mode&syscall.S_ISVTX == 0 && identity.OthersWrite(mode, int64(stat.Gid)):
			parent.Mode = mode & 0o7777
			return &identity.Unusable{Why: fmt.Sprintf("others than root may write in %s, above a home (mode %04o)", dir, parent.Mode),
				Parent: &parent}
		}
	}
	return nil
}
