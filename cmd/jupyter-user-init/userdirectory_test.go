package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// discoverWithDirectory runs discover for bob (UID 5001) with one directory of bob outside the home.
func discoverWithDirectory(t *testing.T, dir string) (scratch string, err error) {
	t.Helper()
	homes, scratch := t.TempDir(), t.TempDir()
	makeHome(t, homes, "bob", 5001, 6001)
	list, err := json.Marshal([]string{dir})
	require.NoError(t, err)
	return scratch, run(discoverArgs(homes, scratch, "bob", "--directories="+string(list), "--uid=5001", "--gid=6001"))
}

func TestDiscoverAcceptsUserDirectory(t *testing.T) {
	skipUnlessRoot(t)
	parent := t.TempDir()
	scratch, err := discoverWithDirectory(t, makeHome(t, parent, "bob", 5001, 6001))
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(scratch, "uid-gid.env"))
}

// TestDiscoverDeniesUserDirectory tests directories that are denied, each with a message that names the remedy. No file is
// written.
func TestDiscoverDeniesUserDirectory(t *testing.T) {
	skipUnlessRoot(t)
	for name, c := range map[string]struct {
		make func(t *testing.T, parent string)
		want string
	}{
		"missing": {func(*testing.T, string) {}, "bob has no directory of their own there: PARENT/bob does not exist. Ask the admin to make it: " +
			"jupyter-user-webhook homes makes the directories that users of the directory service do not have yet"},
		"root's": {func(t *testing.T, parent string) { makeHome(t, parent, "bob", 0, 0) }, "PARENT/bob belongs to root, and must belong to bob " +
			"(UID 5001): its file system is not mounted, or the directory was made and not given to its user. Ask the admin to mount it, for " +
			"chown on it, or to remove it where it is empty: jupyter-user-webhook homes makes it then"},
		"another user's": {func(t *testing.T, parent string) { makeHome(t, parent, "bob", 5002, 6001) }, "PARENT/bob belongs to UID 5002, and must " +
			"belong to bob (UID 5001). Ask the admin whose it is: once it is moved away, jupyter-user-webhook homes makes one for bob"},
		"nobody's": {func(t *testing.T, parent string) { makeHome(t, parent, "bob", 65534, 65534) }, "PARENT/bob must belong to bob (UID 5001), and " +
			"its owner is unknown: UID 65534 is nobody, which is what NFS shows for an owner that it cannot map (idmapd) or squashes. Ask the " +
			"admin to look at the ID mapping of NFS on the node and on the server"},
		"a symbolic link to the user's directory": {func(t *testing.T, parent string) {
			require.NoError(t, os.Symlink(makeHome(t, parent, "real", 5001, 6001), filepath.Join(parent, "bob")))
		}, "PARENT/bob is a symbolic link, which could lead to another user's directory: ask the admin to put the directory itself there"},
		"a file": {func(t *testing.T, parent string) {
			require.NoError(t, os.WriteFile(filepath.Join(parent, "bob"), nil, 0o600))
		}, "PARENT/bob is no directory: ask the admin to move it away, and to make bob's directory there (jupyter-user-webhook homes)"},
		"in a directory that a user owns": {func(t *testing.T, parent string) {
			makeHome(t, parent, "bob", 5001, 6001)
			require.NoError(t, os.Chown(parent, 5009, 0))
		}, "PARENT, which contains the directory of bob, belongs to UID 5009: its owner could replace a directory with another directory. " +
			"Ask the admin to chown that directory to root"},
		"in a directory of the same user": {func(t *testing.T, parent string) {
			makeHome(t, parent, "bob", 5001, 6001)
			require.NoError(t, os.Chown(parent, 5001, 0))
		}, "PARENT, which contains the directory of bob, belongs to UID 5001: its owner could replace a directory with another directory. " +
			"Ask the admin to chown that directory to root"},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			c.make(t, parent)
			scratch, err := discoverWithDirectory(t, filepath.Join(parent, "bob"))
			require.Error(t, err)
			assert.Equal(t, c.want, strings.ReplaceAll(err.Error(), parent, "PARENT"))
			left, readErr := os.ReadDir(scratch)
			require.NoError(t, readErr)
			assert.Empty(t, left)
		})
	}
}

// TestDirectoriesNeedIdentity tests that --directories without --uid is an error: discover compares the owner of each
// directory with the UID.
func TestDirectoriesNeedIdentity(t *testing.T) {
	err := run(discoverArgs("/h", "/s", "bob", `--directories=["/d/bob"]`))
	assert.ErrorContains(t, err, "--directories needs --uid")
}
