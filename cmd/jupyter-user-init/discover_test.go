package main

import (
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

func skipUnlessRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give a home to its owner")
	}
}

func makeHome(t *testing.T, homes, name string, uid, gid int) string {
	t.Helper()
	dir := filepath.Join(homes, name)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, uid, gid))
	return dir
}

func discoverArgs(homes, scratch, user string, more ...string) []string {
	return append([]string{"discover", "--user=" + user, "--homes=" + homes, "--scratch=" + scratch, "--home=/home/" + user,
		"--min-uid=1000", "--min-gid=1000"}, more...)
}

func TestDiscoverWritesFiles(t *testing.T) {
	skipUnlessRoot(t)
	homes, scratch := t.TempDir(), t.TempDir()
	makeHome(t, homes, "qiang.guo03", 5003, 6003)
	require.NoError(t, run(discoverArgs(homes, scratch, "qiang.guo03")))

	env := readFile(t, scratch, "uid-gid.env")
	assert.Regexp(t, `\AUSER_UID=5003\nUSER_GID=6003\nUSER_NAME=qiang\.guo03\nUSER_HOME_INODE=[0-9]+\nUSER_HOME_DEVICE=[0-9]+\n\z`, env)
	assert.Contains(t, readFile(t, scratch, "passwd"), "\nqiang.guo03:x:5003:6003:qiang.guo03:/home/qiang.guo03:/bin/bash\n")
	assert.Contains(t, readFile(t, scratch, "passwd"), "\njovyan:x:1000:100:", "docker-stacks dies without it")
	assert.Contains(t, readFile(t, scratch, "group"), "\nqiang.guo03:x:6003:\n")
	assert.JSONEq(t, `{"ServerApp": {"ip": ""}, "NotebookApp": {"ip": ""}}`, readFile(t, scratch, "jupyter_server_config.json"), "on all addresses")
	assert.JSONEq(t, `{"NotebookApp": {"ip": ""}, "LabApp": {"ip": ""}}`, readFile(t, scratch, "jupyter_notebook_config.json"), "notebook 6 reads this one")

	for name, mode := range map[string]os.FileMode{"uid-gid.env": 0o644, "passwd": 0o644, "group": 0o644,
		"jupyter_server_config.json": 0o644, "jupyter_notebook_config.json": 0o644, "jupyter-user-init": 0o755} {
		info, err := os.Stat(filepath.Join(scratch, name))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), "%s must be readable by the notebook's user", name)
	}
	entries, err := os.ReadDir(scratch)
	require.NoError(t, err)
	assert.Len(t, entries, 6, "nothing half-written is left")
}

// TestDiscoverWritesJupyterSettings tests the files with Jupyter's settings. Each generation of Jupyter reads its own file,
// and has its own names for the server (ServerApp, NotebookApp, LabApp). A umask is in a third file.
func TestDiscoverWritesJupyterSettings(t *testing.T) {
	skipUnlessRoot(t)
	homes, scratch := t.TempDir(), t.TempDir()
	makeHome(t, homes, "alice", 5001, 6001)
	require.NoError(t, run(discoverArgs(homes, scratch, "alice",
		`--jupyter-config={"NotebookNotary":{"db_file":":memory:"},"ServerApp":{"port":8888,"root_dir":"/home/alice"}}`)))
	assert.JSONEq(t, `{"NotebookNotary": {"db_file": ":memory:"}, "NotebookApp": {"port": 8888},
		"ServerApp": {"port": 8888, "root_dir": "/home/alice"}}`,
		readFile(t, scratch, "jupyter_server_config.json"))
	assert.JSONEq(t, `{"NotebookNotary": {"db_file": ":memory:"}, "LabApp": {"port": 8888, "notebook_dir": "/home/alice"},
		"NotebookApp": {"port": 8888, "notebook_dir": "/home/alice"}}`,
		readFile(t, scratch, "jupyter_notebook_config.json"))

	require.NoError(t, run(discoverArgs(homes, scratch, "alice", `--jupyter-config={}`)), "the hub sets the address of its servers")
	assert.JSONEq(t, `{}`, readFile(t, scratch, "jupyter_server_config.json"))

	assert.NoFileExists(t, filepath.Join(scratch, "jupyter_config.py"), "no umask is configured")
	require.NoError(t, run(discoverArgs(homes, scratch, "alice", "--umask=0027")))
	assert.Equal(t, "import os\n\nos.umask(0o0027)\n", readFile(t, scratch, "jupyter_config.py"))
	err := run(discoverArgs(homes, scratch, "alice", "--umask=0)+x("))
	assert.ErrorContains(t, err, `--umask: "0)+x(" has characters other than octal digits`)

	err = run(discoverArgs(homes, scratch, "alice", `--jupyter-config=[]`))
	assert.ErrorContains(t, err, "the settings of Jupyter are not a JSON object of objects")
}

func TestDiscoverReplacesFiles(t *testing.T) {
	skipUnlessRoot(t)
	homes, scratch := t.TempDir(), t.TempDir()
	dir := makeHome(t, homes, "alice", 5001, 6001)
	require.NoError(t, run(discoverArgs(homes, scratch, "alice")))
	require.NoError(t, os.Chown(dir, 5009, 6009))
	require.NoError(t, run(discoverArgs(homes, scratch, "alice")))
	assert.Contains(t, readFile(t, scratch, "uid-gid.env"), "USER_UID=5009\n")
}

func TestDiscoverWithIdentity(t *testing.T) {
	skipUnlessRoot(t)
	homes, scratch := t.TempDir(), t.TempDir()
	makeHome(t, homes, "alice", 5001, 6001)
	// The GID of passwd can differ from the GID of the home.
	require.NoError(t, run(discoverArgs(homes, scratch, "alice", "--uid=5001", "--gid=6100", "--groups=7001,7002")))
	assert.Contains(t, readFile(t, scratch, "uid-gid.env"), "USER_GID=6100\n")
	assert.Contains(t, readFile(t, scratch, "group"), "gid7001:x:7001:alice\ngid7002:x:7002:alice\n")
	assert.NoFileExists(t, filepath.Join(scratch, "jupyter-user-init"), "no process needs to change its user")
}

// TestDiscoverLeadingDigit tests a user whose name is a student number (user.allowLeadingDigit).
func TestDiscoverLeadingDigit(t *testing.T) {
	skipUnlessRoot(t)
	homes, scratch := t.TempDir(), t.TempDir()
	makeHome(t, homes, "20201234", 5003, 6003)
	require.NoError(t, run(discoverArgs(homes, scratch, "20201234")))
	assert.Contains(t, readFile(t, scratch, "uid-gid.env"), "\nUSER_NAME=20201234\n")
	assert.Contains(t, readFile(t, scratch, "passwd"), "\n20201234:x:5003:6003:20201234:/home/20201234:/bin/bash\n")
}

// TestUnknownOwnerAboveHome tests that the directory that contains the homes must not have the UID of nobody, which NFS
// shows in place of an unknown owner. In this test minUID is above 65534, so 65534 can only be denied as nobody's UID.
func TestUnknownOwnerAboveHome(t *testing.T) {
	skipUnlessRoot(t)
	homes := t.TempDir()
	makeHome(t, homes, "bob", 500_001, 500_001)
	options := handoff.Discover{User: "bob", Homes: homes, MinUID: 500_000}
	for owner, want := range map[int]string{0: "", 499_999: "", 500_000: "belongs to UID 500000: its owner could",
		65534: "UID 65534 is nobody", 4294967294: "UID 4294967294 is nobody"} {
		require.NoError(t, os.Chown(homes, owner, 0))
		_, err := find(options)
		if want == "" {
			assert.NoError(t, err, owner)
			continue
		}
		assert.ErrorContains(t, err, want)
	}
}

// TestDiscoverDenies tests homes that are denied. For a denied home, discover writes nothing to the scratch volume or to
// the directory that contains the homes.
func TestDiscoverDenies(t *testing.T) {
	skipUnlessRoot(t)
	for name, c := range map[string]struct {
		user  string
		make  func(t *testing.T, homes string)
		extra []string
		want  string
	}{
		"li without a home next to alice": {user: "li", want: "li has no home",
			make: func(t *testing.T, homes string) { makeHome(t, homes, "alice", 5001, 6001) }},
		"qiang.guo0 next to qiang.guo03 and qiang_guo03": {user: "qiang.guo0", want: "qiang.guo0 has no home",
			make: func(t *testing.T, homes string) {
				makeHome(t, homes, "qiang.guo03", 5003, 6003)
				makeHome(t, homes, "qiang_guo03", 5004, 6004)
			}},
		"a missing home": {user: "bob", want: "does not exist on the share", make: func(*testing.T, string) {}},
		"a file": {user: "bob", want: "is no directory", make: func(t *testing.T, homes string) {
			require.NoError(t, os.WriteFile(filepath.Join(homes, "bob"), nil, 0o600))
		}},
		"a symlink to another's home": {user: "bob", want: "is a symbolic link", make: func(t *testing.T, homes string) {
			require.NoError(t, os.Symlink(makeHome(t, homes, "alice", 5001, 6001), filepath.Join(homes, "bob")))
		}},
		"below a directory that a user owns": {user: "bob", want: "which contains the home of bob, belongs to UID 5009: its owner " + "could replace a home with another directory. Ask the admin to chown that directory to root",
			make: func(t *testing.T, homes string) {
				makeHome(t, homes, "bob", 5001, 6001)
				require.NoError(t, os.Chown(homes, 5009, 0))
			}},
		"below a directory in which a group may write": {user: "bob", want: "which contains the home of " +
			"bob (mode 0775): they could replace a home with another directory. Ask the admin for chmod go-w on that directory",
			make: func(t *testing.T, homes string) {
				makeHome(t, homes, "bob", 5001, 6001)
				require.NoError(t, os.Chown(homes, 0, 50))
				require.NoError(t, os.Chmod(homes, 0o775))
			}},
		"below a directory in which everyone may write": {user: "bob", want: "which contains the home of bob (mode 1777): they could",
			make: func(t *testing.T, homes string) {
				makeHome(t, homes, "bob", 5001, 6001)
				require.NoError(t, os.Chmod(homes, 0o777|os.ModeSticky))
			}},
		"below a directory of the same user": {user: "bob", want: "belongs to UID 5001: its owner could",
			make: func(t *testing.T, homes string) {
				makeHome(t, homes, "bob", 5001, 6001)
				require.NoError(t, os.Chown(homes, 5001, 6001))
			}},
		"below a directory of nobody": {user: "bob", want: "which contains the home of bob: UID 65534 is " +
			"nobody, which is what NFS shows for an owner that it cannot map (idmapd) or squashes. Ask the admin to look at the ID mapping of NFS",
			make: func(t *testing.T, homes string) {
				makeHome(t, homes, "bob", 5001, 6001)
				require.NoError(t, os.Chown(homes, 65534, 65534))
			}},
		"owned by root": {user: "bob", want: "the home of bob has an owner who cannot run a notebook: UID 0 is root, who owns a home if its " +
			"file system is not mounted, or if the directory was created and not given to its user: mount the file system, or chown the home",
			make: owned(0, 6001)},
		"owned by the 32-bit nobody": {user: "bob", want: "UID 4294967294 is nobody", make: owned(4294967294, 6001)},
		"owned by nobody, admitted as 5001": {user: "bob", want: "UID 65534 is nobody, which is what NFS shows for an owner that it cannot map",
			make: owned(65534, 6001), extra: []string{"--uid=5001", "--gid=6001"}},
		"owned by root, admitted as 5001": {user: "bob", want: "UID 0 is root", make: owned(0, 6001),
			extra: []string{"--uid=5001", "--gid=6001"}},
		"owned by nobody": {user: "bob", want: "UID 65534 is nobody, which is what NFS shows for an owner that it cannot map", make: owned(65534, 6001)},
		"owned by 500":    {user: "bob", want: "UID 500 is below 1000", make: owned(500, 6001)},
		"of root's group": {user: "bob", want: "GID 0 is below 1000", make: owned(5001, 0)},
		"of a denied group": {user: "bob", want: "GID 6001 is denied here", make: owned(5001, 6001),
			extra: []string{"--denied-gids=6001"}},
		"owned by 500, admitted as 500": {user: "bob", want: "UID 500 is below 1000", make: owned(500, 6001),
			extra: []string{"--uid=500", "--gid=6001"}},
		"admitted with root's group": {user: "bob", want: "GID 0 is below 1000", make: owned(5001, 6001),
			extra: []string{"--uid=5001", "--gid=0"}},
		"another owner than at admission": {user: "bob", want: "admitted as UID 5002: the owner has changed since", make: owned(5001, 6001),
			extra: []string{"--uid=5002", "--gid=6001"}},
	} {
		t.Run(name, func(t *testing.T) {
			homes, scratch := t.TempDir(), t.TempDir()
			c.make(t, homes)
			before := fileNames(t, homes)
			err := run(append(discoverArgs(homes, scratch, c.user), c.extra...))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
			assert.NotContains(t, err.Error(), "\n", "one sentence")
			assert.Empty(t, fileNames(t, scratch), "nothing was written")
			assert.Equal(t, before, fileNames(t, homes), "nothing was made on the share")
		})
	}
}

func owned(uid, gid int) func(*testing.T, string) {
	return func(t *testing.T, homes string) { makeHome(t, homes, "bob", uid, gid) }
}

// TestDiscoverInClosedDirectory tests homes in a directory that only root can enter. The init container is not root.
func TestDiscoverInClosedDirectory(t *testing.T) {
	skipUnlessRoot(t)
	shared, scratch := t.TempDir(), t.TempDir()
	homes := filepath.Join(shared, "home")
	require.NoError(t, os.Mkdir(homes, 0o700))
	makeHome(t, homes, "alice", 5001, 6001)
	cmd := exec.Command("/proc/self/exe", discoverArgs(homes, scratch, "alice")...)
	cmd.Env = []string{"BE_THE_PROGRAM=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "the share does not let others pass through "+homes+" (mode without x for others, and "+
		"root_squash): ask the admin for chmod o+x on it; the homes in it may stay closed")
	assert.Empty(t, fileNames(t, scratch))
}

// TestDiscoverEntersHomeAsUser tests that, with discovery at admission, a home that its owner cannot read gives an error.
func TestDiscoverEntersHomeAsUser(t *testing.T) {
	skipUnlessRoot(t)
	shared := t.TempDir()
	require.NoError(t, os.Chmod(shared, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(shared), 0o755))
	makeHome(t, shared, "alice", 5001, 6001)
	runAsAlice := func() (string, error) {
		scratch := t.TempDir()
		require.NoError(t, os.Chmod(scratch, 0o777))
		cmd := exec.Command("/proc/self/exe", append(discoverArgs(shared, scratch, "alice"), "--uid=5001", "--gid=6001")...)
		cmd.Env = []string{"BE_THE_PROGRAM=1"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 5001, Gid: 6001}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := runAsAlice()
	require.NoError(t, err, out)
	require.NoError(t, os.Chmod(filepath.Join(shared, "alice"), 0o300))
	out, err = runAsAlice()
	require.Error(t, err)
	assert.Contains(t, out, "alice may not enter the home "+filepath.Join(shared, "alice")+" as UID 5001: permission denied. Ask the admin "+
		"for chmod u+rwx on it, or how the server maps that UID")
}

func TestDiscoverWithMissingScratchVolume(t *testing.T) {
	skipUnlessRoot(t)
	homes := t.TempDir()
	makeHome(t, homes, "alice", 5001, 6001)
	err := run(discoverArgs(homes, filepath.Join(t.TempDir(), "missing"), "alice"))
	require.ErrorContains(t, err, "the pod's scratch volume")
	assert.NotContains(t, err.Error(), "\n", "one sentence")
}

// TestDiscoverWritesEnvFileLast tests that uid-gid.env and temporary files are missing after a failed write of one file.
func TestDiscoverWritesEnvFileLast(t *testing.T) {
	skipUnlessRoot(t)
	for _, name := range []string{"passwd", "group", "jupyter_server_config.json", "jupyter_notebook_config.json", "jupyter-user-init", "uid-gid.env"} {
		t.Run(name, func(t *testing.T) {
			homes, scratch := t.TempDir(), t.TempDir()
			makeHome(t, homes, "alice", 5001, 6001)
			// A file cannot replace a directory.
			require.NoError(t, os.Mkdir(filepath.Join(scratch, name), 0o755))
			require.Error(t, run(discoverArgs(homes, scratch, "alice")))
			assertNoEnvFile(t, scratch)
		})
	}
}

func TestDiscoverOnFullScratchVolume(t *testing.T) {
	skipUnlessRoot(t)
	homes, scratch := t.TempDir(), t.TempDir()
	makeHome(t, homes, "alice", 5001, 6001)
	if err := syscall.Mount("tmpfs", scratch, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("no full volume without the right to mount one:", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(scratch, 0)) })
	// Only the copy of the program is too large for the volume.
	require.ErrorContains(t, run(discoverArgs(homes, scratch, "alice")), "no space left on device")
	assert.ElementsMatch(t, []string{"passwd", "group", "jupyter_server_config.json", "jupyter_notebook_config.json"}, fileNames(t, scratch))
	assertNoEnvFile(t, scratch)
}

func assertNoEnvFile(t *testing.T, scratch string) {
	t.Helper()
	for _, name := range fileNames(t, scratch) {
		assert.NotRegexp(t, `^\.`, name, "a temporary file")
		info, err := os.Lstat(filepath.Join(scratch, name))
		require.NoError(t, err)
		assert.False(t, name == "uid-gid.env" && info.Mode().IsRegular(), "uid-gid.env must be the last file")
	}
}

func TestInvalidCommandLines(t *testing.T) {
	for _, args := range [][]string{
		nil, {"help"}, {"discover"}, {"discover", "--user=../alice"}, {"exec"}, {"exec", "--user=a", "--", "sh"},
		discoverArgs("/h", "/s", "a/../b"), discoverArgs("/h", "/s", "."), append(discoverArgs("/h", "/s", "a"), "--", "sh"),
	} {
		assert.Error(t, run(args), strings.Join(args, " "))
	}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(data)
}

func fileNames(t *testing.T, dir string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}
