package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// share is a directory of this machine that is the share in these tests, in place of an NFS export.
type share struct{ root string }

type home struct {
	name     string
	uid, gid int
	mode     fs.FileMode
}

// crowdSize is the number of users whose notebooks TestCrowd runs at the same time.
const crowdSize = 50

// dan is the name of a user whose home carol may not use.
const dan = "dan"

// homes returns the homes of the share. Some of their owners cannot run a notebook.
func homes() []home {
	all := []home{
		{"alice", 5001, 6001, 0o700},
		{"bob", 5002, 6002, 0o755},
		{"qiang.guo03", 5003, 6003, 0o750},
		{"qiang_guo03", 5004, 6004, 0o700},
		{"many-files", 5005, 6005, 0o700}, // This home has 1,000 files.
		{"large-uid", 1712401234, 1712400513, 0o700},
		{"replaced", 5006, 6006, 0o700},
		{"slow", 5007, 6007, 0o700},
		{"emptied", 5008, 6008, 0o700},
		{dan, 5009, 6009, 0o700},
		{"grouped", 5009, 6009, 0o700},
		{"many-groups", 5014, 6014, 0o700},
		{"two-uids", 5012, 6012, 0o700},
		{"alice.smith", 5015, 6015, 0o700}, // KubeSpawner changes this name in Pod names and labels.
		{"user-1", 5016, 6016, 0o700},
		{"renamed", 5013, 6013, 0o700},
		{"configured", 5018, 6018, 0o700}, // This user has Jupyter settings.
		{"filled", 5019, 6019, 0o700},     // TestUnwritableHome makes this home on its small share too.
		{"unwritable", 5020, 6020, 0o500}, // By its mode, the owner cannot write to this home.
		{"root-owned", 0, 0, 0o700},
		{"squashed", 65534, 65534, 0o700},
		{"low-uid", 500, 500, 0o700},
	}
	for i := range crowdSize {
		all = append(all, home{crowdName(i), 7001 + i, 8001 + i, 0o700})
	}
	return all
}

func crowdName(i int) string { return "user" + strconv.Itoa(i+1) }

func homeOf(name string) home {
	for _, h := range homes() {
		if h.name == name {
			return h
		}
	}
	panic("there is no home of " + name)
}

// path returns the path of a home, or of a file below the home.
func (s share) path(name string, below ...string) string {
	return filepath.Join(append([]string{s.root, "home", name}, below...)...)
}

func (c *testCluster) makeHomes(context.Context) error {
	if err := os.MkdirAll(filepath.Join(c.share.root, "home"), 0o755); err != nil {
		return err
	}
	for _, h := range homes() {
		if err := c.share.makeHome(h); err != nil {
			return fmt.Errorf("make the home of %s: %w", h.name, err)
		}
	}
	for i := range 1000 {
		if err := c.share.write(homeOf("many-files"), "file-"+strconv.Itoa(i), strings.Repeat("x", 100)); err != nil {
			return err
		}
	}
	return errors.Join(
		// Bob's secret, a secret of the share, and links in alice's home that lead to bob's home.
		c.share.write(homeOf("bob"), "secret", "bob's secret"),
		os.WriteFile(filepath.Join(c.share.root, "secret"), []byte("the share's secret"), 0o644),
		os.Symlink("../bob", c.share.path("alice", "relative")),
		os.Symlink("/data/hpc/home/bob", c.share.path("alice", "absolute")),
		os.Symlink(c.share.path("bob"), c.share.path("alice", "of-the-node")),
		// A file and a link in place of homes.
		os.WriteFile(c.share.path("a-file"), nil, 0o644),
		os.Symlink("alice", c.share.path("a-link")),
		// In place of the home of link-owner, a link that belongs to link-owner and leads to another user's home.
		os.Symlink("many-files", c.share.path("link-owner")),
		os.Lchown(c.share.path("link-owner"), 5001, 6001),
	)
}

func (s share) makeHome(h home) error {
	path := s.path(h.name)
	// The mode and the owner are set separately, because the umask changes the mode of mkdir, and chown clears bits of the
	// mode.
	return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, h.uid, h.gid), os.Chmod(path, h.mode))
}

func (s share) write(h home, name, content string) error {
	path := s.path(h.name, name)
	return errors.Join(os.WriteFile(path, []byte(content), 0o644), os.Lchown(path, h.uid, h.gid))
}

// listing returns the modes and the owners of all files of the share, by path.
func (s share) listing() (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		found[path] = fmt.Sprintf("%s %d:%d", info.Mode(), stat.Uid, stat.Gid)
		return nil
	})
	return found, err
}

func (s share) makeFolder(h home, name string) error {
	path := s.path(h.name, name)
	return errors.Join(os.MkdirAll(path, 0o700), os.Chown(path, h.uid, h.gid))
}
