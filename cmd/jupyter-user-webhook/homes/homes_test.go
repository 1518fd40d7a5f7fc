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
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// users are the users of these tests.
var users = homes.Known{
	"alice": identity.New(5001, 6001, []int64{100, 7001}),
	"bob":   identity.New(5002, 6002, nil),
	"anna":  identity.New(5003, 6003, nil),
}

// site is a share with its configuration.
type site struct {
	root  string
	o     homes.Options
	lines []string
}

// newSite returns a share with a directory of homes and no home.
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

// tree lists the content of a share: "drwx------ 5001:6001 home/alice". The content of a file, or the target of a link, follows.
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

	// A second run changes nothing, whatever a home contains and whatever its mode is.
	require.NoError(t, os.WriteFile(s.path("home/alice/file"), nil, 0o644))
	require.NoError(t, os.Chmod(s.path("home/bob"), 0o755))
	before := tree(t, s.root)
	s.lines = nil
	summary, err = s.run(t, "alice", "bob")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{There: 2}, summary)
	assert.Equal(t, before, tree(t, s.root))
	assert.Empty(t, s.lines)
}

// TestOnlyTheInitialIsMade: of the directories above a home, only that for the initial is made. All users with that initial share
// it.
func TestOnlyTheInitialIsMade(t *testing.T) {
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

// TestADirectoryWithSetgidGivesNothing: a new home does not get the group of a setgid directory.
func TestADirectoryWithSetgidGivesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.NoError(t, os.Chown(s.path("home"), 0, 7777))
	require.NoError(t, os.Chmod(s.path("home"), 0o755|fs.ModeSetgid))
	_, err := s.run(t, "alice")
	require.NoError(t, err)
	assert.Contains(t, tree(t, s.root), "drwx------ 5001:6001 home/alice")
}

// TestNoHome: some accounts get no home.
func TestNoHome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account homes.Account
		id      *identity.Identity
		err     error
		want    string
	}{
		"reserved":              {account: homes.Account{Name: "root"}, want: `skipped: "root" is reserved`},
		"no name":               {account: homes.Account{Name: "host$"}, want: `skipped: "host$" cannot be a user here`},
		"a way out":             {account: homes.Account{Name: "../etc"}, want: `skipped: "../etc" cannot be a user here`},
		"a fault":               {account: homes.Account{Name: "cn=x\n", Fault: "has no uid"}, want: `skipped: cn=x\n has no uid`},
		"a UID under the floor": {id: idOf(999, 6001), want: "skipped: alice: UID 999 is below 1000"},
		"root's UID":            {id: idOf(0, 6001), want: "skipped: alice: UID 0 is root"},
		"nobody's UID":          {id: idOf(65534, 6001), want: "skipped: alice: UID 65534 is nobody"},
		"a GID under the floor": {id: idOf(5001, 100), want: "skipped: alice: GID 100 is below 1000"},
		"a GID that is denied":  {id: idOf(5001, 2000), want: "skipped: alice: GID 2000 is denied here"},
		"an unusable account":   {err: &identity.Unusable{Why: "is twice there"}, want: "skipped: alice is twice there"},
		"no account any more":   {want: "skipped: no source of identities knows the user alice"},
		"a silent source":       {err: errors.New("the directory service does not respond"), want: "failed: alice: the directory service does not respond"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.o.Config.Identity.DeniedGIDs = []int64{2000}
			s.o.Identities = source{c.id, c.err}
			if c.account.Name == "" {
				c.account.Name = "alice"
			}
			before := tree(t, s.root)
			summary, err := homes.Run(t.Context(), s.o, []homes.Account{c.account})
			require.NoError(t, err)
			require.Len(t, s.lines, 1)
			assert.True(t, strings.HasPrefix(s.lines[0], c.want), s.lines[0])
			assert.Equal(t, 1, summary.Skipped+summary.Failed)
			assert.Equal(t, strings.HasPrefix(c.want, "failed"), summary.Failed == 1)
			assert.Equal(t, before, tree(t, s.root))
		})
	}
}

func idOf(uid, gid int64) *identity.Identity {
	id := identity.New(uid, gid, nil)
	return &id
}

// source knows one identity, or fails.
type source struct {
	id  *identity.Identity
	err error
}

func (s source) Find(context.Context, user.Name) (*identity.Identity, error) { return s.id, s.err }
func (s source) FindUncached(context.Context, user.Name) (*identity.Identity, error) {
	return s.id, s.err
}

// TestSourcesMustAgree: the sources must agree about a user, as they must for the webhook.
func TestSourcesMustAgree(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Identities = webhook.Agreeing{
		{Name: denial.DirectoryService, Identities: source{id: idOf(5001, 6009)}}, {Name: denial.Passwd, Identities: users},
	}
	_, err := s.run(t, "alice", "bob")
	require.NoError(t, err)
	require.Len(t, s.lines, 2)
	assert.Equal(t, "made: home/alice, for 5001:6009", s.lines[0], "the GID is the directory service's")
	assert.Contains(t, s.lines[1], "skipped: the sources disagree about the user bob")
}

// TestSilentSourcesEndTheRun: each user costs the full wait for a source, so the run ends.
func TestSilentSourcesEndTheRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Identities = source{err: errors.New("the directory service does not respond")}
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("user%d", i))
	}
	summary, err := s.run(t, names...)
	require.ErrorContains(t, err, "the sources of identities did not respond about 10 users in a row, the last of whom is user9: ")
	assert.Equal(t, 10, summary.Failed)
}

// TestPlacesThatAreNotRoots: no home is made where a user other than root could replace it, and no link is followed.
func TestPlacesThatAreNotRoots(t *testing.T) {
	t.Parallel()
	const pattern = "home/{initial}/{user}"
	for name, c := range map[string]struct {
		prepare func(*testing.T, *site)
		want    string
	}{
		"the homes are missing": {func(t *testing.T, s *site) { require.NoError(t, os.Remove(s.path("home"))) },
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
		"a user's above": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 5002, 0o755) },
			"failed: home/a/alice: home/a belongs to UID 5002, who could replace a home with another directory: chown that directory to root"},
		"a system account's above": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 33, 0o755) },
			"failed: home/a/alice: home/a belongs to UID 33"},
		"a user's at the top": {func(t *testing.T, s *site) { require.NoError(t, os.Chown(s.path("home"), 5002, 0)) },
			"failed: home/a/alice: home belongs to UID 5002"},
		"a group writes": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o775) },
			"failed: home/a/alice: home/a may be written by others than root (mode 0775)"},
		"everybody writes, sticky": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o777|fs.ModeSticky) },
			"failed: home/a/alice: home/a may be written by others than root (mode 1777)"},
		"the home is a link": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o755); s.link(t, "../../other", "home/a/alice") },
			"failed: home/a/alice: is a file or a symbolic link, and not a home"},
		"the home is a file": {func(t *testing.T, s *site) { s.mkdir(t, "home/a", 0, 0o755); s.file(t, "home/a/alice") },
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

func (s *site) link(t *testing.T, target, at string) {
	t.Helper()
	require.NoError(t, os.Symlink(target, s.path(at)))
}

func (s *site) file(t *testing.T, at string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.path(at), nil, 0o644))
}

// TestTheRootOfTheShare: a run does not begin with a wrong root of the share.
func TestTheRootOfTheShare(t *testing.T) {
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

// TestProgress: a run reports its progress every thousand accounts.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	names := make([]string, 2500)
	for i := range names {
		names[i] = "alice"
	}
	summary, err := s.run(t, names...)
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Made: 1, There: 2499}, summary)
	assert.Equal(t, []string{"made: home/alice, for 5001:6001", "progress: 1000 of 2500 accounts", "progress: 2000 of 2500 accounts"}, s.lines)
}

// TestARunIsEnded: a run ends between two users, for example on the signal that ends a Pod.
func TestARunIsEnded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.o.Say = func(homes.Outcome, string) { cancel(errors.New("terminated")) }
	_, err := homes.Run(ctx, s.o, []homes.Account{{Name: "alice", UID: 5001}, {Name: "bob", UID: 5002}})
	require.EqualError(t, err, "ended after 1 of 2 accounts: terminated")
	assert.NotContains(t, strings.Join(tree(t, s.root), "\n"), "bob")
}

func TestUnite(t *testing.T) {
	t.Parallel()
	united := homes.Unite([]homes.Account{{Name: "bob", UID: 2}, {Name: "alice", UID: 1}, {Name: "bob", UID: 2}, {Name: "alice", UID: 3}})
	assert.Equal(t, []homes.Account{{Name: "alice", UID: -1}, {Name: "bob", UID: 2}}, united)
}

// TestDirectoriesOfUsersAreMade: they are made where the configuration lists them, for the user alone, and without the skeleton.
func TestDirectoriesOfUsersAreMade(t *testing.T) {
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

// TestNoInitialForASkippedAccount: the directory for an initial is made with its first home, and not for a skipped account.
func TestNoInitialForASkippedAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Config.Share.Home = "home/{initial}/{user}"
	summary, err := s.run(t, "stranger")
	require.NoError(t, err)
	assert.Equal(t, homes.Summary{Skipped: 1}, summary)
	assert.Equal(t, []string{"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home"}, tree(t, s.root))
}
