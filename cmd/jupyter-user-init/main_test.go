package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// initUID is the UID, and the GID, of the init container with discovery at start.
const initUID = 65532

// TestTerminationLog tests that the error of the container's command is in the termination log, which kubectl describe
// shows. The error of a hook or a probe must not be there.
func TestTerminationLog(t *testing.T) {
	skipUnlessRoot(t)
	discoverLine := discoverArgs("/no/homes", "/no/scratch", "alice")
	execLine := []string{"exec", "--user=alice", "--home=/no/home", "--scratch=/no/scratch"}
	// The old text is longer than the new error, so that a rest of the old text would be seen.
	before := "the message of an earlier container" + strings.Repeat(".", 1000)
	for name, c := range map[string]struct {
		args      []string
		isPID1    bool
		isWritten bool
	}{
		"discover":                                 {args: discoverLine, isPID1: true, isWritten: true},
		"discover under shareProcessNamespace":     {args: discoverLine, isWritten: true},
		"exec":                                     {args: append(execLine, "--", "sh"), isPID1: true, isWritten: true},
		"exec as a hook or a probe":                {args: append(execLine, "--", "sh")},
		"the image under shareProcessNamespace":    {args: append(execLine, "--image-start", "--"), isWritten: true},
		"a hook with an argument like one of ours": {args: append(execLine, "--", "echo", "--image-start")},
		"an unknown command line":                  {args: []string{"exec", "--nonsense"}, isPID1: true, isWritten: true},
		"a probe with an unknown command line":     {args: []string{"exec", "--nonsense"}},
		"no command line":                          {isPID1: true, isWritten: true},
		"a discover with an unknown flag":          {args: []string{"discover", "--nonsense"}, isWritten: true},
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "termination-log")
			require.NoError(t, os.WriteFile(log, []byte(before), 0o666))
			cmd := exec.Command("/proc/self/exe", c.args...)
			cmd.Env = []string{"BE_THE_PROGRAM=1", logVariable + "=" + log}
			cmd.SysProcAttr = &syscall.SysProcAttr{}
			if c.isPID1 {
				cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
			}
			output, err := cmd.CombinedOutput()
			require.Error(t, err)
			assert.Contains(t, string(output), "jupyter-user-init: ")
			want := before
			if c.isWritten {
				want = string(output)
			}
			assert.Equal(t, want, readFile(t, filepath.Dir(log), "termination-log"))
		})
	}
}

func TestReportErrorWithoutTerminationLog(t *testing.T) {
	reportError(errors.New("an error"), filepath.Join(t.TempDir(), "missing"))
	assert.NoFileExists(t, filepath.Join(t.TempDir(), "missing"), "only the kubelet creates this file")
}

// TestProcessIsNotDumpable tests that the program is not dumpable (PR_SET_DUMPABLE), so other processes of the same UID cannot trace it.
// The owner of the files in /proc/PID shows this: for a process that is not dumpable it is root.
func TestProcessIsNotDumpable(t *testing.T) {
	skipUnlessRoot(t)
	for name, args := range map[string]func(homes, scratch string) []string{
		"discover": func(homes, scratch string) []string { return discoverArgs(homes, scratch, "alice") },
		"exec": func(_, scratch string) []string {
			return []string{"exec", "--user=alice", "--home=/no/home", "--scratch=" + scratch, "--", "sh"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			homes, scratch := openDir(t), openDir(t)
			makeHome(t, homes, "alice", 5001, 6001)
			require.NoError(t, os.Chown(scratch, initUID, initUID))
			cmd, output := startBlocked(t, args(homes, scratch))
			assert.Eventually(t, func() bool {
				info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "environ"))
				return err == nil && info.Sys().(*syscall.Stat_t).Uid == 0
			}, machine.Patience, time.Millisecond, "a process of the same user can inspect and trace it")
			_, err := io.CopyN(io.Discard, output, pipeSize)
			require.NoError(t, err)
			_ = cmd.Wait()
		})
	}
}

// pipeSize is the capacity of a pipe on Linux.
const pipeSize = 1 << 16

// startBlocked starts the program with the init container's UID and a full pipe as output, so that the program waits when it
// writes its output, at the end.
func startBlocked(t *testing.T, args []string) (*exec.Cmd, io.Reader) {
	t.Helper()
	out, in, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = out.Close() })
	_, err = in.Write(make([]byte, pipeSize))
	require.NoError(t, err)
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{"BE_THE_PROGRAM=1"}
	cmd.Stdout, cmd.Stderr = in, in
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: initUID, Gid: initUID}}
	require.NoError(t, cmd.Start())
	require.NoError(t, in.Close())
	return cmd, out
}

// TestDiscoverAsInitContainer runs discover with initUID, which may read less than root.
func TestDiscoverAsInitContainer(t *testing.T) {
	skipUnlessRoot(t)
	homes, scratch := openDir(t), openDir(t)
	makeHome(t, homes, "alice", 5001, 6001)
	require.NoError(t, os.Chown(scratch, initUID, initUID))
	cmd := exec.Command("/proc/self/exe", discoverArgs(homes, scratch, "alice")...)
	cmd.Env = []string{"BE_THE_PROGRAM=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: initUID, Gid: initUID}}
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	copied, err := os.ReadFile(filepath.Join(scratch, "jupyter-user-init"))
	require.NoError(t, err)
	assert.True(t, string(self) == string(copied), "the copy of the program must be complete")
}
