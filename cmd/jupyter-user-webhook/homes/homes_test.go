package homes_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/homes"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

var users = homes.Known{
	"alice": identity.New(5001, 6001, []int64{100, 7001}),
	"bob":   identity.New(5002, 6002, nil),
	"anna":  identity.New(5003, 6003, nil),
}

// site is a share, the options of the runs on it, and the lines of output.
type site struct {
	root  string
	o     homes.Options
	lines []string
}

// newSite returns a share with an empty directory "home".
func newSite(t *testing.T) *site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory to a user")
	}
	s := &site{root: filepath.Join(t.TempDir(), "share")}
	s.mkdir(t, ".", 0, 0o755)
	s.mkdir(t, "home", 0, 0o755)
	s.o = homes.Options{Share: s.root, Config: config.Default(), Identities: users, Mode: 0o700, Say: func(o homes.Outcome, line string) {
		s.lines = append(s.lines, string(o)+": "+line)
	}}
	return s
}

func (s *site) path(dir string) string { return filepath.Join(s.root, dir) }

func (s *site) mkdir(t *testing.T, dir string, uid int, mode fs.FileMode) {
	t.Helper()
	require.NoError(t, os.Mkdir(s.path(dir), 0o700))
	require.NoError(t, os.Chown(s.path(dir), uid, uid))
	require.NoError(t, os.Chmod(s.path(dir), mode))
}

func (s *site) run(t *testing.T, names ...string) (homes.Summary, error) {
	t.Helper()
	var accounts []homes.Account
	for _, name := range names {
		uid := int64(homes.AnyUID)
		if id, known := users[name]; known {
			uid = id.UID
		}
		accounts = append(accounts, homes.Account{Name: name, UID: uid})
	}
	return homes.Run(t.Context(), s.o, accounts)
}

// tree lists a folder and all that is in it, in lines such as "drwx------ 5001:6001 home/alice". The line of a file ends
// with its content, and the line of a symbolic link with its target.
func tree(t *testing.T, root string) (listed []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		name, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("%s %d:%d %s", info.Mode(), stat.Uid, stat.Gid, name)
		switch info.Mode().Type() {
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " = " + string(content)
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		listed = append(listed, line)
		return nil
	}))
	return listed
}

func TestMissingHomesAreMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	summary, err := s.run(t, "alice", "bob")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Made: 2}, summary)
	want := []string{
		"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home", "drwx------ 5001:6001 home/alice", "drwx------ 5002:6002 home/bob",
	}
	assert.Equal(t, want, tree(t, s.root))
	assert.Equal(t, []string{"made: home/alice, for 5001:6001", "made: home/bob, for 5002:6002"}, s.lines)

	// A second run does not change the content or the mode of a home.
	require.NoError(t, os.WriteFile(s.path("home/alice/file"), nil, 0o644))
	require.NoError(t, os.Chmod(s.path("home/bob"), 0o755))
	before := tree(t, s.root)
	s.lines = nil
	summary, err = s.run(t, "alice", "bob")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Existing: 2}, summary)
	assert.Equal(t, before, tree(t, s.root))
	assert.Empty(t, s.lines)
}

// TestParentWithSetgid tests that a new home does not get the group of a setgid directory above it.
func TestParentWithSetgid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.NoError(t, os.Chown(s.path("home"), 0, 7777))
	require.NoError(t, os.Chmod(s.path("home"), 0o755|fs.ModeSetgid))
	_, err := s.run(t, "alice")
	require.NoError(t, err)
	assert.Contains(t, tree(t, s.root), "drwx------ 5001:6001 home/alice")
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Config.Share.Home, s.o.DryRun = "home/{initial}/{user}", true
	s.mkdir(t, "home/.jupyter-user-homes-OLD", 0, 0o700)
	before := tree(t, s.root)
	summary, err := s.run(t, "alice", "anna", "root")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Made: 2, Skipped: 1}, summary)
	assert.Equal(t, before, tree(t, s.root))
	require.Len(t, s.lines, 5)
	assert.Equal(t, []string{
		"removed: home/.jupyter-user-homes-OLD would be removed: a run was killed while it made a home",
		"progress: would make home/a, for root", "would make: home/a/alice, for 5001:6001", "would make: home/a/anna, for 5003:6003",
	}, s.lines[:4])
}

// TestProgress tests that a run reports its progress after each thousand accounts.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := make([]string, 2500)
	for i := range names {
		names[i] = "alice"
	}
	summary, err := s.run(t, names...)
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Made: 1, Existing: 2499}, summary)
	assert.Equal(t, []string{"made: home/alice, for 5001:6001", "progress: 1000 of 2500 accounts", "progress: 2000 of 2500 accounts"}, s.lines)
}

// TestCancelledRun tests that a run whose context is cancelled ends before the next user.
func TestCancelledRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.o.Say = func(homes.Outcome, string) { cancel(errors.New("terminated")) }
	_, err := homes.Run(ctx, s.o, []homes.Account{{Name: "alice", UID: 5001}, {Name: "bob", UID: 5002}})
	require.EqualError(t, err, "ended after 1 of 2 accounts: terminated")
	assert.NotContains(t, strings.Join(tree(t, s.root), "\n"), "bob")
}

// TestUserDirectoriesAreMade tests the directories of users beside the home, on the share and on a further claim. They do
// not get the skeleton.
func TestUserDirectoriesAreMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mkdir(t, "scratch", 0, 0o755)
	s.o.Config.Share.Directories = []config.Directory{
		{SubPath: "scratch/{user}", MountPath: "/scratch", Access: config.AccessReadWrite},
		{SubPath: "datasets", MountPath: "/datasets", Access: config.AccessReadOnly},
		{ClaimName: "archive", SubPath: "u/{initial}/{user}", MountPath: "/archive", Access: config.AccessReadWrite},
	}
	skeleton := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(skeleton, ".profile"), []byte("x"), 0o644))
	var err error
	s.o.Skeleton, err = homes.ReadSkeleton(skeleton)
	require.NoError(t, err)
	summary, err := s.run(t, "alice")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Made: 2}, summary)
	assert.Equal(t, []string{
		"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home", "drwx------ 5001:6001 home/alice", "-rw-r--r-- 5001:6001 home/alice/.profile = x",
		"drwxr-xr-x 0:0 scratch", "drwx------ 5001:6001 scratch/alice",
	}, tree(t, s.root))

	claim := newSite(t)
	claim.mkdir(t, "u", 0, 0o755)
	claim.o.Config, claim.o.Claim, claim.o.Skeleton = s.o.Config, "archive", s.o.Skeleton
	_, err = claim.run(t, "alice")
	require.NoError(t, err)
	assert.Equal(t, []string{
		"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home", "drwxr-xr-x 0:0 u", "drwxr-xr-x 0:0 u/a", "drwx------ 5001:6001 u/a/alice",
	}, tree(t, claim.root))
	assert.Equal(t, []string{"progress: made u/a, for root", "made: archive/u/a/alice, for 5001:6001"}, claim.lines)
}
