package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/slapd"
)

// newShare returns the root of a share with an empty directory "home".
func newShare(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory to a user")
	}
	share := filepath.Join(t.TempDir(), "share")
	require.NoError(t, os.MkdirAll(filepath.Join(share, "home"), 0o755))
	return share
}

func writeTemp(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

const kindLines = "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"

func runHomes(t *testing.T, share, configuration string, flags ...string) (code int, out, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	arguments := append([]string{"homes", "--config=" + writeTemp(t, "config.yaml", configuration), "--share=" + share}, flags...)
	code = run(t.Context(), arguments, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func ownerOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%s %d:%d", info.Mode(), stat.Uid, stat.Gid)
}

func TestHomesFromPasswd(t *testing.T) {
	t.Parallel()
	share := newShare(t)
	accounts := "root:x:0:0:::\nalice:x:5001:6001:::\nsvc:x:33:33:::\nbob:x:5002:6002:::\nodd\n"
	passwd := "--passwd=" + writeTemp(t, "passwd", accounts)
	skeleton := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(skeleton, ".bashrc"), []byte("x"), 0o644))

	code, out, stderr := runHomes(t, share, kindLines, passwd, "--dry-run", "--mode=0750", "--skeleton="+skeleton)
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, out, "would make: home/alice, for 5001:6001\n")
	assert.Contains(t, out, "\n2 would be made, 0 there, 2 skipped, 0 failed\n")
	assert.NoDirExists(t, filepath.Join(share, "home/alice"))

	code, out, stderr = runHomes(t, share, kindLines, passwd, "--mode=0750", "--skeleton="+skeleton)
	assert.Equal(t, 0, code, stderr)
	assert.Empty(t, stderr)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 7, out)
	assert.Contains(t, lines[0], "passwd: line 5: it has 1 fields")
	assert.Equal(t, []string{"made: home/alice, for 5001:6001", "made: home/bob, for 5002:6002"}, lines[1:3])
	assert.Contains(t, lines[3], `skipped: "root" is reserved`)
	assert.Contains(t, lines[4], "skipped: svc: UID 33 is below 1000, the lowest of a user (identity.minUID)")
	assert.Equal(t, "2 made, 0 there, 2 skipped, 0 failed", lines[5])
	assert.Equal(t, "drwxr-x--- 5001:6001", ownerOf(t, filepath.Join(share, "home/alice")))
	assert.Equal(t, "-rw-r--r-- 5002:6002", ownerOf(t, filepath.Join(share, "home/bob/.bashrc")))

	code, out, _ = runHomes(t, share, kindLines, passwd)
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "\n0 made, 2 there, 2 skipped, 0 failed\n")
}

// TestHomesWithUserFlag tests that --user limits the run to the given users.
func TestHomesWithUserFlag(t *testing.T) {
	t.Parallel()
	share := newShare(t)
	passwd := "--passwd=" + writeTemp(t, "passwd", "alice:x:5001:6001:::\nbob:x:5002:6002:::\n")
	code, out, _ := runHomes(t, share, kindLines, passwd, "--user=bob", "--user=nobody-knows")
	assert.Equal(t, 0, code)
	assert.Equal(t, "made: home/bob, for 5002:6002\nskipped: no source of identities knows the user nobody-knows\n1 made, 0 there, 1 skipped, "+
		"0 failed\n", out)
}

// TestHomesFromIncompletePasswd tests a passwd file whose last line is incomplete: the users before that line get homes,
// and the exit status is 1.
func TestHomesFromIncompletePasswd(t *testing.T) {
	t.Parallel()
	share := newShare(t)
	code, out, _ := runHomes(t, share, kindLines, "--passwd="+writeTemp(t, "passwd", "alice:x:5001:6001:::\nbob:x:50"))
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "the last line has no line break: the file is being written, or is incomplete: homes are made for the 1 accounts before it\n")
	assert.Contains(t, out, "made: home/alice, for 5001:6001\n1 made, 0 there, 0 skipped, 1 failed\n")
	assert.NoDirExists(t, filepath.Join(share, "home/bob"))
}

func TestHomesFailures(t *testing.T) {
	t.Parallel()
	share := newShare(t)
	passwd := "--passwd=" + writeTemp(t, "passwd", "alice:x:5001:6001:::\nbob:x:5002:6002:::\n")
	require.NoError(t, os.WriteFile(filepath.Join(share, "home/alice"), nil, 0o644))
	code, out, _ := runHomes(t, share, kindLines, passwd)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "failed: home/alice: is a file or a symbolic link")
	assert.Contains(t, out, "made: home/bob, for 5002:6002\n1 made, 0 there, 0 skipped, 1 failed\n")

	require.NoError(t, os.Chmod(share, 0o777))
	code, out, _ = runHomes(t, share, kindLines, passwd)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "failed: the root of the share may be written by others than root (mode 0777)")
	assert.Contains(t, out, "\n0 made, 0 there, 0 skipped, 1 failed\n")

	code, out, _ = runHomes(t, newShare(t), kindLines, "--passwd="+writeTemp(t, "empty", ""))
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "failed: no user is listed: ")
	assert.Contains(t, out, "\n0 made, 0 there, 0 skipped, 1 failed\n")
}

// TestHomesInvalidOptions tests that invalid options give one line on standard error, and exit status 2.
func TestHomesInvalidOptions(t *testing.T) {
	t.Parallel()
	share := newShare(t)
	passwd := "--passwd=" + writeTemp(t, "passwd", "alice:x:5001:6001:::\n")
	for name, c := range map[string]struct {
		configuration string
		flags         []string
		want          string
	}{
		"no source of identities":            {kindLines, nil, "Error: there is no source of identities: configure identity.ldap, or give --passwd\n"},
		"an empty flag":                      {kindLines, []string{"--passwd="}, "Error: --passwd has an empty value"},
		"no such file":                       {kindLines, []string{"--passwd=/nowhere"}, "Error: --passwd: open /nowhere: no such file or directory\n"},
		"an invalid mode":                    {kindLines, []string{passwd, "--mode=rwx"}, `Error: --mode "rwx" is not from 0700 to 0777 in octal`},
		"a mode without rights for the user": {kindLines, []string{passwd, "--mode=0077"}, `Error: --mode "0077" is not from 0700 to 0777 in octal`},
		"a mode with setuid":                 {kindLines, []string{passwd, "--mode=4755"}, `Error: --mode "4755" is not from 0700 to 0777 in octal`},
		"no skeleton":                        {kindLines, []string{passwd, "--skeleton=/nowhere"}, "Error: --skeleton /nowhere: open /nowhere: "},
		"an invalid configuration":           {kindLines + "shared: {}\n", []string{passwd}, "Error: the configuration "},
		"an argument":                        {kindLines, []string{passwd, "alice"}, `Error: unknown command "alice"`},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := runHomes(t, share, c.configuration, c.flags...)
			assert.Equal(t, 2, code, out)
			assert.Empty(t, out)
			assert.True(t, strings.HasPrefix(stderr, c.want), stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}

// TestHomesFromDirectoryService tests a directory service that stops listing at a limit: the listed users get homes, and
// the exit status is 1. Without the limit all users get homes.
func TestHomesFromDirectoryService(t *testing.T) {
	t.Parallel()
	var users strings.Builder
	for i := range 700 {
		fmt.Fprintf(&users, "dn: uid=user%[1]d,ou=people,dc=example,dc=org\nobjectClass: account\nobjectClass: posixAccount\nuid: user%[1]d\n"+
			"cn: user\nuidNumber: %[2]d\ngidNumber: 6003\nhomeDirectory: /\n\n", i, 10_000+i)
	}
	users.WriteString("dn: uid=root,ou=people,dc=example,dc=org\nobjectClass: account\nobjectClass: posixAccount\nuid: root\n" +
		"cn: root\nuidNumber: 5999\ngidNumber: 6003\nhomeDirectory: /\n\n")
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: site + users.String(), Database: onlyRead +
		"\nlimits dn.exact=\"" + webhookDN + "\" size.prtotal=600\nlimits * size=unlimited"})
	configuration := func(bind string) string {
		return kindLines + "identity:\n  ldap:\n    urls: [" + server.LDAPS + "]\n    caFile: " + writeTemp(t, "ca.crt", string(server.Authority.Cert)) +
			"\n    waitMilliseconds: 600\n    users: {baseDN: '" + peopleDN + "'}\n    groups: {baseDN: 'ou=groups,dc=example,dc=org'}\n" + bind
	}
	share := newShare(t)
	code, out, stderr := runHomes(t, share, configuration("    bind: {method: Simple, dn: '"+webhookDN+"', passwordFile: "+
		writeTemp(t, "password", "secret")+"}\n"))
	assert.Equal(t, 1, code, stderr)
	assert.Contains(t, out, "failed: the directory service did not list all users: ")
	assert.Contains(t, out, "homes are made for the ")
	assert.Contains(t, out, "made: home/user1, for 10001:6003\n")
	made, err := os.ReadDir(filepath.Join(share, "home"))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(made), 490)
	assert.Less(t, len(made), 700)

	code, out, stderr = runHomes(t, share, configuration(""))
	assert.Equal(t, 0, code, stderr+out)
	assert.Contains(t, out, `skipped: "root" is reserved`)
	made, err = os.ReadDir(filepath.Join(share, "home"))
	require.NoError(t, err)
	assert.Len(t, made, 701)
	assert.Equal(t, "drwx------ 5003:6003", ownerOf(t, filepath.Join(share, "home/alice")))
}

// TestHomesWithHomePrefix tests that no home is made if the directory service sets the paths of homes.
func TestHomesWithHomePrefix(t *testing.T) {
	t.Parallel()
	share := newShare(t)
	code, _, stderr := runHomes(t, share, kindLines+"share: {homePrefix: /hpc}\nidentity: {ldap: {urls: ['ldaps://ldap.example.org'], users: "+
		"{baseDN: 'dc=example'}}}\n", "--user=alice")
	assert.NotZero(t, code)
	assert.Contains(t, stderr, "homes are made where share.home says, and with share.homePrefix the directory service decides where they are")
	assert.NoDirExists(t, filepath.Join(share, "home/alice"))
}

// TestHomesOnFurtherClaims tests a directory with {user} on a further claim, whose mount point is given by --claim. Such a
// directory without --claim is an error, and so is --claim without such a directory.
func TestHomesOnFurtherClaims(t *testing.T) {
	t.Parallel()
	share, archive := newShare(t), filepath.Join(t.TempDir(), "archive")
	require.NoError(t, os.MkdirAll(filepath.Join(archive, "users"), 0o755))
	passwd := "--passwd=" + writeTemp(t, "passwd", "root:x:0:0:::\nalice:x:5001:6001:::\n")
	const configured = kindLines + "share: {directories: [{claimName: hpc-archive, subPath: 'users/{user}', mountPath: /archive, access: ReadWrite}]}\n"

	code, _, stderr := runHomes(t, share, configured, passwd)
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "share.directories has directories of users on the claim hpc-archive: give the path where "+
		"its root is mounted, by --claim=hpc-archive=<path>")
	code, _, stderr = runHomes(t, share, kindLines, passwd, "--claim=other="+archive)
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, `--claim names "other", on which share.directories has no directory with {user}: leave it out`)

	code, out, stderr := runHomes(t, share, configured, passwd, "--claim=hpc-archive="+archive)
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, out, "made: home/alice, for 5001:6001\n")
	assert.Contains(t, out, "made: hpc-archive/users/alice, for 5001:6001\n")
	assert.Contains(t, out, "\n2 made, 0 there, 1 skipped, 0 failed\n")
	assert.Equal(t, "drwx------ 5001:6001", ownerOf(t, filepath.Join(archive, "users/alice")))
}

// TestHomesPageOutput tests the output of a run that deploy/docs/homes.md shows. UPDATE_GOLDEN=1 writes the file in
// testdata, and test/docs then writes the page.
func TestHomesPageOutput(t *testing.T) {
	t.Parallel()
	share := newShare(t)
	passwd := "--passwd=" + writeTemp(t, "passwd", "alice:x:5003:6003:::\nsvc:x:33:33:::\n")
	code, out, stderr := runHomes(t, share, kindLines+"share: {home: \"home/{initial}/{user}\"}\n", passwd)
	assert.Equal(t, 0, code, stderr)
	golden := filepath.Join("testdata", "homes.txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(out), 0o644))
	}
	shown, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(shown), out)
}
