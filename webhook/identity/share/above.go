package share

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// lookAbove looks at each directory between the root of the share and a home. Whoever owns one of them can replace what is in it.
// The error is an *identity.Unusable if no home can be there.
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
			return errors.New("this system does not say who owns a directory")
		}
		at := identity.Misplaced{Dir: dir, Owner: int64(stat.Uid), Link: info.Mode()&fs.ModeSymlink != 0}
		switch {
		case at.Link:
			return &identity.Unusable{Why: fmt.Sprintf("%s, above a home, is a symbolic link", dir), Misplaced: &at}
		case at.Owner >= s.minUID:
			return &identity.Unusable{Why: fmt.Sprintf("%s, above a home, belongs to UID %d", dir, at.Owner), Misplaced: &at}
		}
	}
	return nil
}
