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

// A share is the directory that stands in for the export.
type share struct{ root string }

// A home is one on the share.
type home struct {
	name     string
	uid, gid int
	mode     fs.FileMode
}

// crowd is how many users run a notebook at once.
const crowd = 50

// stranger is somebody whose home is not carol's to use.
const stranger = "dan"

// homes are those of users, and those of nobody who may run a notebook.
func homes() []home {
	all := []home{
		{"alice", 5001, 6001, 0o700},
		{"bob", 5002, 6002, 0o755},
		{"qiang.guo03", 5003, 6003, 0o750},
		{"qiang_guo03", 5004, 6004, 0o700},
		{"hoarder", 5005, 6005, 0o700}, // Has 1,000 files.
		{"far-away", 1712401234, 1712400513, 0o700},
		{"moving", 5006, 6006, 0o700},
		{"slow", 5007, 6007, 0o700},
		{"busy", 5008, 6008, 0o700},
		{stranger, 5009, 6009, 0o700},
		{"grouped", 5009, 6009, 0o700},
		{"joiner", 5014, 6014, 0o700},
		{"disputed", 5012, 6012, 0o700},
		{"alice.smith", 5015, 6015, 0o700}, // Whom KubeSpawner calls something else in the names of what it makes.
		{"user-1", 5016, 6016, 0o700},
		{"renamed", 5013, 6013, 0o700},
		{"settled", 5018, 6018, 0o700},    // Has settings of Jupyter of their own.
		{"filled", 5019, 6019, 0o700},     // Whose home is on a share that takes nothing.
		{"unwritable", 5020, 6020, 0o500}, // Who may not write to the home.
		{"toor", 0, 0, 0o700},
		{"squashed", 65534, 65534, 0o700},
		{"daemonic", 500, 500, 0o700},
	}
	for i := range crowd {
		all = append(all, home{crowdName(i), 7001 + i, 8001 + i, 0o700})
	}
	return all
}

func crowdName(i int) string { return "user" + strconv.Itoa(i+1) }

// homeOf is the one of a name.
func homeOf(name string) home {
	for _, h := range homes() {
		if h.name == name {
			return h
		}
	}
	panic("nobody is called " + name)
}

// path of a home, or of something in it.
func (s share) path(name string, below ...string) string {
	return filepath.Join(append([]string{s.root, "home", name}, below...)...)
}

func (w *World) makeHomes(context.Context) error {
	if err := os.MkdirAll(filepath.Join(w.share.root, "home"), 0o755); err != nil {
		return err
	}
	for _, h := range homes() {
		if err := w.share.makeHome(h); err != nil {
			return fmt.Errorf("make the home of %s: %w", h.name, err)
		}
	}
	for i := range 1000 {
		if err := w.share.write(homeOf("hoarder"), "file-"+strconv.Itoa(i), strings.Repeat("x", 100)); err != nil {
			return err
		}
	}
	return errors.Join(
		// What bob would not like to be seen, and what alice put into her home to see it.
		w.share.write(homeOf("bob"), "secret", "bob's secret"),
		os.WriteFile(filepath.Join(w.share.root, "secret"), []byte("the share's secret"), 0o644),
		os.Symlink("../bob", w.share.path("alice", "relative")),
		os.Symlink("/data/hpc/home/bob", w.share.path("alice", "absolute")),
		os.Symlink(w.share.path("bob"), w.share.path("alice", "of-the-node")),
		// What is no home.
		os.WriteFile(w.share.path("a-file"), nil, 0o644),
		os.Symlink("alice", w.share.path("a-link")),
		// A link of somebody's own to another's home.
		os.Symlink("hoarder", w.share.path("led")),
		os.Lchown(w.share.path("led"), 5001, 6001),
	)
}

func (s share) makeHome(h home) error {
	path := s.path(h.name)
	// Mode and owner apart: the umask has a say in the first, and changing the second takes bits off it.
	return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, h.uid, h.gid), os.Chmod(path, h.mode))
}

func (s share) write(h home, name, content string) error {
	path := s.path(h.name, name)
	return errors.Join(os.WriteFile(path, []byte(content), 0o644), os.Lchown(path, h.uid, h.gid))
}

// listing is everything on the share with its owner, for before and after.
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

// makeFolder makes a folder in a home, if it is not there.
func (s share) makeFolder(h home, name string) error {
	path := s.path(h.name, name)
	return errors.Join(os.MkdirAll(path, 0o700), os.Chown(path, h.uid, h.gid))
}
