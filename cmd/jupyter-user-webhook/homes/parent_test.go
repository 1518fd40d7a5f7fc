package homes_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/homes"
)

// TestOnlyInitialIsMade tests that a run makes the missing directory for {initial}, and no other directory above a home.
func TestOnlyInitialIsMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Config.Share.Home, s.o.Mode = "home/{initial}/{user}", 0o750
	summary, err := s.run(t, "alice", "anna", "bob")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Made: 3}, summary)
	assert.Equal(t, []string{
		"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home",
		"drwxr-xr-x 0:0 home/a", "drwxr-x--- 5001:6001 home/a/alice", "drwxr-x--- 5003:6003 home/a/anna",
		"drwxr-xr-x 0:0 home/b", "drwxr-x--- 5002:6002 home/b/bob",
	}, tree(t, s.root))

	s = newSite(t)
	s.o.Config.Share.Home = "home/{initial}/deep/{user}"
	summary, err = s.run(t, "alice")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Failed: 1}, summary)
	assert.Equal(t, []string{"progress: made home/a, for root",
		"failed: home/a/deep/alice: home/a/deep is missing on the share: make it, as root and with mode 0755"}, s.lines)
}

// TestUnsafePaths tests that no home is made below a directory that a user other than root can write to, or below a
// symbolic link, and that nothing at the path of a home is replaced.
func TestUnsafePaths(t *testing.T) {
	t.Parallel()
	const pattern = "home/{initial}/{user}"
	for name, c := range map[string]struct {
		prepare func(*testing.T, *site)
		want    string
	}{
		"a missing directory of the homes": {func(t *testing.T, s *site) { require.NoError(t, os.Remove(s.path("home"))) },
			"failed: home/a/alice: home is missing on the share: make it, as root and with mode 0755"},
		"a link above": {func(t *testing.T, s *site) { s.mkdir(t, "other", 0, 0o755); s.link(t, "../other", "home/a") },
			"failed: home/a/alice: home/a is a symbolic link, or is behind one: put the directory itself there"},
		"a link at the top": {func(t *testing.T, s *site) {
			require.NoError(t, os.Remove(s.path("home")))
			s.mkdir(t, "other", 0, 0o755)
			s.link(t, "other", "home")
		}, "failed: home/a/alice: home is a symbolic link, or is behind one"},
		"a link out of the share": {func(t *testing.T, s *site) { s.link(t, t.TempDir(), "home/a") }, "failed: home/a/alice: home/a is a symbolic link"},
		"a file above": {func(t *testing.T, s *site) { s.file(t, "home/a") },
			"failed: home/a/alice: home/a is no directory"},
		"a user's directory above": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 5002, 0o755) },
			"failed: home/a/alice: home/a belongs to UID 5002, who could replace a home with another directory: chown that directory to root"},
		"a system account's directory above": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 33, 0o755) },
			"failed: home/a/alice: home/a belongs to UID 33"},
		"a user's directory at the top": {func(t *testing.T, s *site) { require.NoError(t, os.Chown(s.path("home"), 5002, 0)) },
			"failed: home/a/alice: home belongs to UID 5002"},
		"a directory above that a group can write to": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o775) },
			"failed: home/a/alice: home/a may be written by others than root (mode 0775)"},
		"a sticky directory above that everyone can write to": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o777|fs.ModeSticky) },
			"failed: home/a/alice: home/a may be written by others than root (mode 1777)"},
		"a link as home": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o755); s.link(t, "../../other", "home/a/alice") },
			"failed: home/a/alice: is a file or a symbolic link, and not a home"},
		"a file as home": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o755); s.file(t, "home/a/alice") },
			"failed: home/a/alice: is a file or a symbolic link, and not a home"},
		"an empty directory of another user": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o755); s.mkdir(t, "home/a/alice", 5002, 0o700) },
			"failed: home/a/alice: is there already and belongs to UID 5002, and the user has UID 5001"},
		"an empty directory of root": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o755); s.mkdir(t, "home/a/alice", 0, 0o755) },
			"failed: home/a/alice: is there already and belongs to UID 0, and the user has UID 5001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.o.Config.Share.Home = pattern
			c.prepare(t, s)
			before := tree(t, s.root)
			summary, err := s.run(t, "alice")
			require.NoError(t, err)
			require.Len(t, s.lines, 1)
			assert.True(t, strings.HasPrefix(s.lines[0], c.want), s.lines[0])
			assert.Equal(t, homes.Summary{Failed: 1}, summary)
			assert.Equal(t, before, tree(t, s.root))
		})
	}
}

func (s *site) link(t *testing.T, target, path string) {
	t.Helper()
	require.NoError(t, os.Symlink(target, s.path(path)))
}

func (s *site) file(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.path(path), nil, 0o644))
}

// TestInvalidShareRoot tests that a run does not begin if the root of the share is missing, or if others than root can
// write to it.
func TestInvalidShareRoot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.NoError(t, os.Chmod(s.root, 0o777))
	_, err := s.run(t, "alice")
	require.ErrorContains(t, err, "the root of the share may be written by others than root (mode 0777)")
	s = newSite(t)
	s.o.Share = s.path("missing")
	_, err = s.run(t, "alice")
	require.ErrorContains(t, err, "open the root of the share: ")
}

// TestSkippedAccountMakesNoInitial tests that the directory for an initial is not made for a skipped account.
func TestSkippedAccountMakesNoInitial(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Config.Share.Home = "home/{initial}/{user}"
	summary, err := s.run(t, "stranger")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Skipped: 1}, summary)
	assert.Equal(t, []string{"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home"}, tree(t, s.root))
}
