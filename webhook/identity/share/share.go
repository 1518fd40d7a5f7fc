// Package share finds who a user is by who owns the user's home, on the share mounted read-only into the webhook's own
// pod. It says UID and GID; supplementary groups are nothing that a directory knows.
//
// NFS hangs: a system call on a share whose server is gone comes back when the server does, and nothing ends it before. So
// nobody waits for one longer than a set time (package lookups). A home seldom changes hands, and the init container looks again
// on the node, so the last owner that was seen counts for a while.
package share

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Options of a Source.
type Options struct {
	// Share is the root of the share as this process sees it.
	Share string
	// Home is where the home of a user is on the share. If it begins with a directory that is the same for every user, a share
	// that is not mounted is distinguished from one on which a user has no home.
	Home config.HomePattern
	// MinUID is the lowest UID of a user: the directories above a home must not belong to a user.
	MinUID int64
	// Wait is how long one question waits for the share.
	Wait time.Duration
	// Fresh and FreshMissing are how long an owner, and that there is no home, are taken for true without another look.
	Fresh, FreshMissing time.Duration
	// Stale is how long the last owner that was seen counts while the share does not answer.
	Stale time.Duration
	// Registry of the metrics.
	Registry prometheus.Registerer
}

// Source is a webhook.Identities. It is safe for concurrent use.
type Source struct {
	share  string
	home   config.HomePattern
	minUID int64
	finder *lookups.Finder[identity.Identity]
	lstat  func(string) (fs.FileInfo, error)
}

// New looks once, so that a wrong path is told at start. A share that does not answer by then is no reason not to start.
func New(ctx context.Context, o Options) (*Source, error) {
	finder, err := lookups.NewFinder[identity.Identity](lookups.Options{
		Source: "share", What: "the share", Wait: o.Wait, Fresh: o.Fresh, FreshMissing: o.FreshMissing, Stale: o.Stale,
		Registry: o.Registry,
	})
	if err != nil {
		return nil, err
	}
	s := &Source{share: o.Share, home: o.Home, minUID: o.MinUID, finder: finder, lstat: stat}
	// No user is called ".".
	if _, err := s.finder.Ask(ctx, ".", s.lookAtBeginning); err != nil && !errors.Is(err, lookups.ErrSilent) {
		return nil, fmt.Errorf("the directory of the homes: %w", err)
	}
	return s, nil
}

// Find answers nil for a name that has no home, and an error where the share does not say and nothing is remembered.
func (s *Source) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.finder.Find(ctx, name.String(), s.looking(s.home.Of(name.String())))
}

// FindUncached is Find without what is remembered.
func (s *Source) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.finder.FindUncached(ctx, name.String(), s.looking(s.home.Of(name.String())))
}

func (s *Source) looking(home string) lookups.Look[identity.Identity] {
	return func() (*identity.Identity, error) { return s.lookAt(home) }
}

// lookAt is the system call.
func (s *Source) lookAt(home string) (*identity.Identity, error) {
	var info fs.FileInfo
	err := s.lookAbove(home)
	if err == nil {
		info, err = s.lstat(filepath.Join(s.share, home))
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Where the homes are not there either, it is the share that is missing, and nobody is to be told to have no home.
		return s.lookAtBeginning()
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		// A file or a symbolic link is nobody's home. What it is, the init container tells.
		return nil, nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("this system does not say who owns a directory")
	}
	id := identity.New(int64(stat.Uid), int64(stat.Gid), nil)
	return &id, nil
}

// oPath is O_PATH of open(2), which package syscall does not name.
const oPath = 0x200000

// stat returns what is at a path, and follows no link. A directory is opened: a home that is a file system of its own, as NFS v4
// and autofs have them, is mounted by opening it, and until then lstat returns the directory below. It takes no right on the
// home.
func stat(path string) (fs.FileInfo, error) {
	f, err := os.OpenFile(path, oPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		return os.Lstat(path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing is written to it
	return f.Stat()
}

// lookAtBeginning looks into the directory with which all homes begin, for which it has to be open to others.
func (s *Source) lookAtBeginning() (*identity.Identity, error) {
	beginning := filepath.Join(s.share, s.home.Beginning())
	info, err := s.lstat(beginning + "/.")
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", beginning)
	}
	return nil, err
}
