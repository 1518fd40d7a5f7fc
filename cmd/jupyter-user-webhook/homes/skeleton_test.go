package homes_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/homes"
)

// skeletonDir returns a directory with the types of files that a skeleton can have.
func skeletonDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "work"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "closed"), 0o500))
	for name, mode := range map[string]os.FileMode{
		".bashrc": 0o644, "work/run": 0o755 | os.ModeSetuid | os.ModeSetgid, "closed/read": 0o400,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("content of "+name), 0o600))
		require.NoError(t, os.Chmod(path, mode))
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "work"), 0o770|os.ModeSetgid|os.ModeSticky))
	require.NoError(t, os.Symlink("/etc/shadow", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("work", filepath.Join(dir, "to-dir")))
	require.NoError(t, os.Symlink("../../nowhere", filepath.Join(dir, "dangling")))
	return dir
}

// filled is the content of alice's home that is made from skeletonDir.
var filled = []string{
	"drwx------ 5001:6001 .",
	"-rw-r--r-- 5001:6001 .bashrc = content of .bashrc",
	"dr-x------ 5001:6001 closed",
	"-r-------- 5001:6001 closed/read = content of closed/read",
	"Lrwxrwxrwx 5001:6001 dangling -> ../../nowhere",
	"Lrwxrwxrwx 5001:6001 link -> /etc/shadow",
	"Lrwxrwxrwx 5001:6001 to-dir -> work",
	"drwxrwx--- 5001:6001 work",
	"-rwxr-xr-x 5001:6001 work/run = content of work/run",
}

// TestHomeFromSkeleton tests that links stay links, that the user owns the content, and that no file has setuid or setgid.
func TestHomeFromSkeleton(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	shadow, err := os.Stat("/etc/shadow")
	require.NoError(t, err)
	s.o.Skeleton, err = homes.ReadSkeleton(skeletonDir(t))
	require.NoError(t, err)
	_, err = s.run(t, "alice")
	require.NoError(t, err)
	assert.Equal(t, filled, tree(t, s.path("home/alice")))
	after, err := os.Stat("/etc/shadow")
	require.NoError(t, err)
	assert.Equal(t, shadow.Sys().(*syscall.Stat_t).Uid, after.Sys().(*syscall.Stat_t).Uid, "the target of a link is not changed")
}

// TestSkeletonFromConfigMap tests a mounted ConfigMap, whose keys are links to files in another directory.
func TestSkeletonFromConfigMap(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "..2026_11_28"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..2026_11_28", ".bashrc"), []byte("x"), 0o644))
	require.NoError(t, os.Symlink("..2026_11_28", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/.bashrc", filepath.Join(dir, ".bashrc")))
	var err error
	s.o.Skeleton, err = homes.ReadSkeleton(dir)
	require.NoError(t, err)
	_, err = s.run(t, "alice")
	require.NoError(t, err)
	assert.Equal(t, []string{"drwx------ 5001:6001 .", "-rw-r--r-- 5001:6001 .bashrc = x"}, tree(t, s.path("home/alice")))
}

// TestInvalidSkeletons tests that a skeleton with an unsupported or too large content is an error.
func TestInvalidSkeletons(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can make a device")
	}
	for name, c := range map[string]struct {
		prepare func(dir string) error
		want    string
	}{
		"a device": {func(dir string) error { return syscall.Mknod(dir+"/null", syscall.S_IFCHR|0o666, 1<<8|3) },
			"null is a device, a socket or a pipe, which a home must not contain: remove it"},
		"a pipe":              {func(dir string) error { return syscall.Mkfifo(dir+"/pipe", 0o666) }, "pipe is a device, a socket or a pipe"},
		"a missing directory": {os.Remove, "no such file or directory"},
		"a file too large":    {func(dir string) error { return os.WriteFile(dir+"/big", make([]byte, 16<<20+1), 0o644) }, "more than 1000 files or 16 MiB"},
		"too many files": {func(dir string) error {
			for i := range 1001 {
				if err := os.Mkdir(filepath.Join(dir, string(rune('一'+i))), 0o755); err != nil {
					return err
				}
			}
			return nil
		}, "more than 1000 files or 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, c.prepare(dir))
			_, err := homes.ReadSkeleton(dir)
			require.ErrorContains(t, err, c.want)
		})
	}
}
