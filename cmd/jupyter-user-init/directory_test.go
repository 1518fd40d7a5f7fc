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

// mountTmpfs mounts a tmpfs at a directory until the test ends. It skips the test if this process has no right to mount.
func mountTmpfs(t *testing.T, mountPoint, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", mountPoint, "tmpfs", 0, options); err != nil {
		t.Skip("no file system without the right to mount one:", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(mountPoint, syscall.MNT_DETACH)) })
}

// automount mounts debugfs and returns the mount point. When the directory "tracing" of debugfs is opened, the kernel
// mounts another file system there; stat does not cause that. With NFS v4 the same happens for a home that is a file system
// of its own.
func automount(t *testing.T) (folder string) {
	t.Helper()
	skipUnlessRoot(t)
	folder = t.TempDir()
	if err := syscall.Mount("debugfs", folder, "debugfs", 0, ""); err != nil {
		t.Skip("no automount without the right to mount debugfs:", err)
	}
	t.Cleanup(func() {
		_ = syscall.Unmount(filepath.Join(folder, "tracing"), syscall.MNT_DETACH) // an error means that it was not opened
		assert.NoError(t, syscall.Unmount(folder, syscall.MNT_DETACH))
	})
	if _, err := os.Lstat(filepath.Join(folder, "tracing")); err != nil {
		t.Skip("this kernel's debugfs has no automount:", err)
	}
	return folder
}

// TestFindAutomountedHome tests that find returns the inode and the device of the mounted home, and not those of the
// directory that the mount hides.
func TestFindAutomountedHome(t *testing.T) {
	homes := automount(t)
	home := filepath.Join(homes, "tracing")
	var mountPoint, mounted syscall.Stat_t
	require.NoError(t, syscall.Lstat(home, &mountPoint))

	owner, err := find(handoff.Discover{User: "tracing", Homes: homes, MinUID: 1000})
	require.NoError(t, err)
	require.NoError(t, syscall.Stat(home+"/.", &mounted))
	require.NotEqual(t, mountPoint.Dev, mounted.Dev, "tracing must be an automount")
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
