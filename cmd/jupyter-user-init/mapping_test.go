package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// TestServerGivesFilesToOneAccount tests the error if a new file in the home does not belong to the user. In this test the file
// belongs to root, who runs the test, as on a server that maps each UID to root.
func TestServerGivesFilesToOneAccount(t *testing.T) {
	skipUnlessRoot(t)
	home := t.TempDir()
	err := tryWriting(home, handoff.Owner{Name: "alice", UID: 5001})
	assert.EqualError(t, err, "the NFS server gives new files in the home "+home+" to UID 0, and not to alice (5001): it maps users to one "+
		"account (all_squash, mapall, an EFS access point with a user), so ask the admin to switch this off")
	assert.NotErrorAs(t, err, new(notice), "Jupyter must not start")
	assert.Empty(t, fileNames(t, home), "no file may be left in the home")
	require.NoError(t, tryWriting(home, handoff.Owner{Name: "root", UID: 0}))
}

// TestServerTreatsUserAsRoot tests the error, with discovery at admission, if the user can write in the directory of the homes
// although its mode lets only its owner write. In the cases "treated as the owner" the directory belongs to the user's UID, so
// that access(2) allows writing, as on a server that treats the user as root. The test sets minUID above that UID,
// because jupyter-user-init denies a directory of homes whose owner has a UID of minUID or higher.
func TestServerTreatsUserAsRoot(t *testing.T) {
	skipUnlessRoot(t)
	const refused = "the server lets alice (5001) write in"
	readOnly := func(t *testing.T, homes string, flags uintptr) {
		require.NoError(t, syscall.Mount("", homes, "", syscall.MS_REMOUNT|syscall.MS_RDONLY|flags, ""))
	}
	for name, c := range map[string]struct {
		owner int
		mode  os.FileMode
		mount func(t *testing.T, homes string)
		want  bool
	}{
		"treated as the owner":                      {owner: 5001, mode: 0o755, want: true},
		"treated as the owner, by a read-only bind": {owner: 5001, mode: 0o755, mount: func(t *testing.T, homes string) { readOnly(t, homes, syscall.MS_BIND) }, want: true},
		"treated as the owner, read-only":           {owner: 5001, mode: 0o755, mount: func(t *testing.T, homes string) { readOnly(t, homes, 0) }},
		"treated as themselves":                     {owner: 0, mode: 0o755},
		"a directory in which others may write":     {owner: 0, mode: 0o777},
	} {
		t.Run(name, func(t *testing.T) {
			homes, scratch := openDir(t), openDir(t)
			mountTmpfs(t, homes, "mode=0755")
			makeHome(t, homes, "alice", 5001, 6001)
			require.NoError(t, os.Chmod(homes, c.mode))
			require.NoError(t, os.Chown(homes, c.owner, 0))
			if c.mount != nil {
				c.mount(t, homes)
			}
			require.NoError(t, os.Chown(scratch, 5001, 0))
			args := discoverArgs(homes, scratch, "alice", "--uid=5001", "--gid=6001")
			args[slices.Index(args, "--min-uid=1000")] = "--min-uid=5002"
			cmd := exec.Command("/proc/self/exe", args...)
			cmd.Env = []string{"BE_THE_PROGRAM=1"}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 5001, Gid: 6001}}
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the UID is below minUID")
			if !c.want {
				assert.NotContains(t, string(out), refused)
				return
			}
			assert.Equal(t, "jupyter-user-init: the server lets alice (5001) write in "+homes+", which contains the homes or directories of "+
				"users and in which only its owner, UID 5001, may write (mode 0755): it maps users to one account (all_squash, mapall, an EFS access point with a "+
				"user), or an ACL there lets alice write. Ask the admin to switch this off\n", string(out))
			assert.NoFileExists(t, filepath.Join(scratch, "uid-gid.env"))
		})
	}
}
