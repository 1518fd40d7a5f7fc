package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// mountTmpfs mounts a tmpfs at a directory, until the test ends.
func mountTmpfs(t *testing.T, at, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, options); err != nil {
		t.Skip("no file system without the right to mount one:", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(at, syscall.MNT_DETACH)) })
}

// automount returns a folder in which the kernel mounts a file system at the directory tracing when it is opened, and not
// on stat, as NFS v4 does with a home that is its own file system.
func automount(t *testing.T) (folder string) {
	t.Helper()
	asRoot(t)
	folder = t.TempDir()
	if err := syscall.Mount("debugfs", folder, "debugfs", 0, ""); err != nil {
		t.Skip("no automount without the right to mount debugfs:", err)
	}
	t.Cleanup(func() {
		_ = syscall.Unmount(filepath.Join(folder, "tracing"), syscall.MNT_DETACH) // it may not be mounted
		assert.NoError(t, syscall.Unmount(folder, syscall.MNT_DETACH))
	})
	if _, err := os.Lstat(filepath.Join(folder, "tracing")); err != nil {
		t.Skip("this kernel's debugfs has no automount:", err)
	}
	return folder
}

// TestStatMountsHome: owner, inode and device are those of the home, and not of the directory below it.
func TestStatMountsHome(t *testing.T) {
	homes := automount(t)
	home := filepath.Join(homes, "tracing")
	var below, mounted syscall.Stat_t
	require.NoError(t, syscall.Lstat(home, &below))

	owner, err := find(handoff.Discover{User: "tracing", Homes: homes, MinUID: 1000})
	require.NoError(t, err)
	require.NoError(t, syscall.Stat(home+"/.", &mounted))
	require.NotEqual(t, below.Dev, mounted.Dev, "the test is of an automount")
	assert.Equal(t, mounted.Ino, owner.HomeInode)
	assert.Equal(t, mounted.Dev, owner.HomeDevice)
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "home"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	require.NoError(t, os.Symlink("home", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("file", filepath.Join(dir, "link-to-file")))
	for name, want := range map[string]error{
		"home": nil, "file": errNoDirectory, "pipe": errNoDirectory, "link": errSymlink, "link-to-file": errSymlink,
		"missing": os.ErrNotExist,
	} {
		stat, err := directory(filepath.Join(dir, name))
		assert.ErrorIs(t, err, want, name)
		if want == nil {
			assert.EqualValues(t, os.Getuid(), stat.Uid)
		}
	}
}
