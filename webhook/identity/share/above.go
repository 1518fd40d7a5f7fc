package share

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
)

// MisplacedError reports a directory below which no home can be: a user owns it, so the user could put another directory in the
// place of a home; or it is a symbolic link, so nobody knows whose directories are above the home.
type MisplacedError struct {
	// Dir is the directory, relative to the root of the share.
	Dir string
	// Owner is the UID that owns Dir.
	Owner int64
	// Link reports that Dir is a symbolic link.
	Link bool
}

// Error returns a text for the log. The sentence for the user is a denial's.
func (e *MisplacedError) Error() string {
	if e.Link {
		return fmt.Sprintf("%s, above a home, is a symbolic link", e.Dir)
	}
	return fmt.Sprintf("%s, above a home, belongs to UID %d", e.Dir, e.Owner)
}

func misplaced(err error) bool {
	_, ok := errors.AsType[*MisplacedError](err)
	return ok
}

// lookAbove looks at each directory between the root of the share and a home. Whoever owns one of them can replace what is in it.
func (s *Source) lookAbove(home string) error {
	for end, letter := range home {
		if letter != '/' {
			continue
		}
		dir := home[:end]
		info, err := s.lstat(filepath.Join(s.Share, dir))
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("this system does not say who owns a directory")
		}
		link := info.Mode()&fs.ModeSymlink != 0
		if link || int64(stat.Uid) >= s.MinUID {
			return &MisplacedError{Dir: strings.Clone(dir), Owner: int64(stat.Uid), Link: link}
		}
	}
	return nil
}
