// Package share finds the identity of a user by the owner of the user's home, on the share mounted read-only into the
// webhook's Pod. It returns UID and GID; a directory has no supplementary groups.
//
// NFS can hang: a system call on a share whose server is gone blocks until the server is back, and cannot be interrupted.
// So callers wait for a limited time (package lookups). A home seldom changes its owner, and the init container checks the
// owner again on the node, so the last owner is cached for a while.
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

// Options are the settings of a Source: where the homes are on the share, and how long the Source waits and caches.
type Options struct {
	// Share is the root of the share as this process sees it.
	Share string
	// Home is the pattern of homes on the share. If it begins with a directory that is the same for every user, an
	// unmounted share can be distinguished from a missing home.
	Home config.HomePattern
	// MinUID is the lowest UID of a user: the directories above a home must not belong to a user.
	MinUID int64
	// Wait is the longest time that a caller waits for the share.
	Wait time.Duration
	// Fresh is how long a found owner is used without another lookup. FreshMissing is the same for the results "no home"
	// and "unusable home".
	Fresh, FreshMissing time.Duration
	// Stale is how long a found owner is used while lookups fail or the share does not respond.
	Stale    time.Duration
	Registry prometheus.Registerer
}

// Source implements webhook.Identities. It is safe for concurrent use.
type Source struct {
	share  string
	home   config.HomePattern
	minUID int64
	finder *lookups.Finder[identity.Identity]
	lstat  func(string) (fs.FileInfo, error)
}

// New returns a source. It checks the share once, so that a wrong path is an error at start. A share that does not respond is
// not an error: lookups fail until it responds.
func New(ctx context.Context, o Options) (*Source, error) {
	finder, err := lookups.NewFinder[identity.Identity](lookups.Options{
		Source: "share", What: "the share", Wait: o.Wait, Fresh: o.Fresh, FreshMissing: o.FreshMissing, Stale: o.Stale,
		Registry: o.Registry,
	})
	if err != nil {
		return nil, err
	}
	s := &Source{share: o.Share, home: o.Home, minUID: o.MinUID, finder: finder, lstat: stat}
	// Lookup caches the result under the key ".", which cannot be the name of a user.
	if _, err := s.finder.Lookup(ctx, ".", s.checkLeadingDirectory); err != nil && !errors.Is(err, lookups.ErrSilent) {
		return nil, fmt.Errorf("the directory of the homes: %w", err)
	}
	return s, nil
}

// Find returns the owner of the user's home; nil if the user has no home. It returns an error if the home is unusable, or
// if the lookup fails and no owner is cached.
func (s *Source) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.finder.Find(ctx, name.String(), s.look(s.home.Of(name.String())))
}

// FindUncached does the same as Find, but uses no cached result.
func (s *Source) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.finder.FindUncached(ctx, name.String(), s.look(s.home.Of(name.String())))
}

func (s *Source) look(home string) lookups.Look[identity.Identity] {
	return func() (*identity.Identity, error) { return s.lookAt(home) }
}

// lookAt returns the owner of a home; nil if there is none. Its system calls can hang.
func (s *Source) lookAt(home string) (*identity.Identity, error) {
	var info fs.FileInfo
	err := s.lookAbove(home)
	if err == nil {
		info, err = s.lstat(filepath.Join(s.share, home))
	}
	if errors.Is(err, fs.ErrNotExist) {
		// If the directory of the homes is missing too, the share is not mounted: checkLeadingDirectory then returns an
		// error. Otherwise only the home is missing.
		return s.checkLeadingDirectory()
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		// A file or a symbolic link is not a home.
		return nil, nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("this system does not show who owns a directory")
	}
	id := identity.New(int64(stat.Uid), int64(stat.Gid), nil)
	return &id, nil
}

// oPath is O_PATH of open(2), which package syscall does not name.
const oPath = 0x200000

// stat returns the info of the file at a path, without following a link. It first opens the path as a directory, because a
// home can be a file system of its own (NFS v4, autofs). The kernel mounts such a home when it is opened; before that, lstat
// returns the info of the mount point. Opening with O_PATH needs no permission on the home.
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

// checkLeadingDirectory returns an error if the leading directory of the pattern, which is the same for every user, is
// missing or not a directory, or if this process cannot enter it. The identity is always nil.
func (s *Source) checkLeadingDirectory() (*identity.Identity, error) {
	beginning := filepath.Join(s.share, s.home.Beginning())
	info, err := s.lstat(beginning + "/.")
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", beginning)
	}
	return nil, err
}
