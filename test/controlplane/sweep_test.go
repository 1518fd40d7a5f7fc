package controlplane

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startSleeper starts the program sleep by a wrapper script in the folder f, as envtest starts etcd. The process is killed
// at the end of the test if it still runs.
func startSleeper(t *testing.T, f *folder) (ended <-chan error) {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	path, err := f.wrap("etcd", sleep)
	require.NoError(t, err)
	command := exec.Command(path, "600")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, command.Start())
	result := make(chan error, 1)
	go func() { result <- command.Wait() }()
	t.Cleanup(func() { _ = command.Process.Kill() })
	require.NoError(t, await(t.Context(), func(context.Context) (bool, error) { return len(f.groups()) == 1, nil }))
	return result
}

func TestSweepAfterDeathOfOwner(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	f, err := newFolder()
	require.NoError(t, err)
	ended := startSleeper(t, f)
	require.NoError(t, f.lock.Close()) // This releases the lock, as the kernel does when a process ends.

	require.NoError(t, sweep())
	assert.NoDirExists(t, f.path)
	require.ErrorContains(t, <-ended, "killed")
}

func TestSweepOfFolderInUse(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	f, err := newFolder()
	require.NoError(t, err)
	ended := startSleeper(t, f)

	require.NoError(t, sweep())
	assert.DirExists(t, f.path)
	assert.Len(t, f.groups(), 1)

	f.kill()
	require.ErrorContains(t, <-ended, "killed")
	require.NoError(t, f.remove())
}

func TestSweepOfUnfinishedFolder(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	old, recent := filepath.Join(temp, folderPrefix+"old"), filepath.Join(temp, folderPrefix+"recent")
	other := filepath.Join(temp, "other")
	long := time.Now().Add(-2 * unlockedAfter)
	for _, path := range []string{old, recent, other} {
		require.NoError(t, os.Mkdir(path, 0o755))
	}
	require.NoError(t, os.Chtimes(old, long, long))
	require.NoError(t, os.Chtimes(other, long, long))

	require.NoError(t, sweep())
	assert.NoDirExists(t, old)
	assert.DirExists(t, recent, "its owner may be about to lock it")
	assert.DirExists(t, other)
}

func TestKillAfterReuseOfProcessID(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("skipped: this system has no /proc with the command line of a process")
	}
	t.Setenv("TMPDIR", t.TempDir())
	f, err := newFolder()
	require.NoError(t, err)
	otherProcess := exec.Command("sleep", "600")
	otherProcess.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, otherProcess.Start())
	note := filepath.Join(f.path, binFolder, "etcd"+groupSuffix)
	require.NoError(t, os.WriteFile(note, []byte(strconv.Itoa(otherProcess.Process.Pid)), 0o600))

	f.kill()
	require.NoError(t, otherProcess.Process.Signal(syscall.Signal(0)), "the process still runs")
	require.NoError(t, otherProcess.Process.Kill())
	require.Error(t, otherProcess.Wait())
	require.NoError(t, f.remove())
}
