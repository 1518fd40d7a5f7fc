package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

const ownFileSystem = "uid=5001,gid=6001,mode=0700"

// unwritable has homes that alice owns but cannot write to, each with the message about it.
var unwritable = map[string]struct {
	make func(t *testing.T, home string)
	want string
}{
	"full": {func(t *testing.T, home string) {
		mountTmpfs(t, home, ownFileSystem+",size=64k")
		require.ErrorIs(t, os.WriteFile(filepath.Join(home, "big"), make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	}, "no space is left for the home %s, because its file system is full: the notebook starts, and nothing can be saved there. Delete " +
		"files, or ask the admin for space"},
	"out of files": {func(t *testing.T, home string) {
		mountTmpfs(t, home, ownFileSystem+",nr_inodes=8")
		var err error
		for i := 0; err == nil; i++ {
			err = os.WriteFile(filepath.Join(home, fmt.Sprint(i)), nil, 0o600)
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
	}, "no more files can be made in the home %s, because its file system has as many as it can: the notebook starts, and nothing can be " +
		"saved there. Delete files, or ask the admin for more"},
	"read-only": {func(t *testing.T, home string) {
		mountTmpfs(t, home, ownFileSystem)
		require.NoError(t, syscall.Mount("tmpfs", home, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	}, "the home %s is on a file system that is mounted read-only: the notebook starts, and nothing can be saved there. Ask the admin " +
		"whether that is meant"},
	"of mode 0500": {func(t *testing.T, home string) { require.NoError(t, os.Chmod(home, 0o500)) },
		"the home %s has the mode 0500, by which its owner cannot write to it: the notebook starts, and nothing can be saved there. " +
			"chmod u+wx it"},
}

// runDiscover runs discover with a UID, and returns its output and its termination log.
func runDiscover(t *testing.T, uid uint32, homes, scratch string, more ...string) (output, log string) {
	t.Helper()
	require.NoError(t, os.Chown(scratch, int(uid), 0))
	file := filepath.Join(openDir(t), "termination-log")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	require.NoError(t, os.Chmod(file, 0o666))
	cmd := exec.Command("/proc/self/exe", discoverArgs(homes, scratch, "alice", more...)...)
	cmd.Env = []string{"BE_THE_PROGRAM=1", logVariable + "=" + file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 6001}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "the program must exit 0: %s", out)
	words, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(out), string(words)
}

// TestDiscoverReportsUnwritableHome tests the message about a home that its owner cannot write to. The init container still
// writes the files for the notebook container.
func TestDiscoverReportsUnwritableHome(t *testing.T) {
	skipUnlessRoot(t)
	for name, c := range unwritable {
		for discovery, uid := range map[string]uint32{"at admission": 5001, "at start": initUID} {
			t.Run(name+" "+discovery, func(t *testing.T) {
				homes, scratch := openDir(t), openDir(t)
				dir := makeHome(t, homes, "alice", 5001, 6001)
				c.make(t, dir)
				var known []string
				if uid == 5001 {
					known = []string{"--uid=5001", "--gid=6001"}
				}
				output, log := runDiscover(t, uid, homes, scratch, known...)
				sentence := "jupyter-user-init: " + fmt.Sprintf(c.want, dir) + "\n"
				assert.Contains(t, output, sentence)
				assert.Equal(t, sentence, log)
				assert.FileExists(t, filepath.Join(scratch, "uid-gid.env"))
			})
		}
	}
	t.Run("a writable home", func(t *testing.T) {
		homes, scratch := openDir(t), openDir(t)
		makeHome(t, homes, "alice", 5001, 6001)
		output, log := runDiscover(t, initUID, homes, scratch)
		assert.Equal(t, "alice is 5001:6001\n", output)
		assert.Empty(t, log)
	})
}

// TestExecReportsUnwritableHome tests that the message about an unwritable home comes once, when the container starts, and
// not in a hook or a probe.
func TestExecReportsUnwritableHome(t *testing.T) {
	skipUnlessRoot(t)
	starts := []string{"--image-start", `--entrypoint=["echo"]`, `--command=["it ran"]`}
	for name, c := range unwritable {
		t.Run(name, func(t *testing.T) {
			homes, scratch := openDir(t), openDir(t)
			p := pod{home: makeHome(t, homes, "alice", 5001, 6001), scratch: scratch}
			c.make(t, p.home)
			runDiscover(t, initUID, homes, scratch)
			output, err := p.exec(t, []string{searchPath}, starts)
			require.NoError(t, err, output)
			assert.Equal(t, "jupyter-user-init: "+fmt.Sprintf(c.want, p.home)+"\nit ran\n", output)
			output, err = p.exec(t, []string{searchPath}, nil, "echo", "a probe")
			require.NoError(t, err, output)
			assert.Equal(t, "a probe\n", output)
		})
	}
	t.Run("a writable home", func(t *testing.T) {
		p := newPod(t)
		output, err := p.exec(t, []string{searchPath}, starts)
		require.NoError(t, err, output)
		assert.Equal(t, "it ran\n", output)
		assert.Empty(t, fileNames(t, p.home), "no file may be left in the home")
	})
}

// TestUnwritableMessage tests the messages for errors of writing, including errors that the file systems in these tests
// cannot return.
func TestUnwritableMessage(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	for fault, want := range map[error]string{
		&fs.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}: "alice is over quota, so that nothing can be written to the home " + dir,
		&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}:  "the share does not let alice (5001) write to the home " + dir + ", though its mode does",
		&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOSPC}:  "no space is left for the home " + dir,
		&fs.PathError{Op: "open", Path: "x", Err: syscall.EIO}:     "the home " + dir + " cannot be written to: input/output error. The notebook starts",
	} {
		why := unwritableMessage(dir, handoff.Owner{Name: "alice", UID: 5001}, fault)
		assert.True(t, strings.HasPrefix(why, want), why)
		assert.NotContains(t, why, "\n")
	}
	assert.Empty(t, unwritableMessage(dir, handoff.Owner{}, nil))
}
