package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestServeIdentities tests the identity of alice by the owner of the home, by passwd and group, and by both sources.
func TestServeIdentities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a home to its owner, and the directory above it to nobody")
	}
	share := t.TempDir()
	alice := filepath.Join(share, "home", "alice")
	require.NoError(t, os.MkdirAll(alice, 0o700))
	const uid, gid = 5001, 6001
	require.NoError(t, os.Chown(alice, uid, gid))
	agrees := file(t, "passwd", fmt.Sprintf("alice:x:%d:7001::/home/alice:/bin/bash\n", uid))
	differs := file(t, "passwd", fmt.Sprintf("alice:x:%d:7001::/home/alice:/bin/bash\n", uid+1))
	group := file(t, "group", "people:x:7001:\nproject:x:7002:bob,alice\n")
	for name, c := range map[string]struct {
		args     []string
		identity string
	}{
		"no source":                {nil, ""},
		"by the home":              {[]string{"--share=" + share}, fmt.Sprintf("%d:%d", uid, gid)},
		"by passwd":                {[]string{"--passwd=" + agrees}, fmt.Sprintf("%d:7001", uid)},
		"by passwd and group":      {[]string{"--passwd=" + agrees, "--group=" + group}, fmt.Sprintf("%d:7001:7002", uid)},
		"by the home and passwd":   {[]string{"--share=" + share, "--passwd=" + agrees, "--group=" + group}, fmt.Sprintf("%d:7001:7002", uid)},
		"by sources that disagree": {[]string{"--share=" + share, "--passwd=" + differs}, "IdentityDisputed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, stop := serve(t, c.args...)
			response := p.admit(t)
			if c.identity == "" {
				assert.NotContains(t, response, `"identity"`)
			} else {
				assert.Contains(t, response, c.identity)
			}
			assert.Zero(t, stop())
		})
	}
}

// TestServeReadsPasswdAgain tests that a change of the passwd file needs no restart.
func TestServeReadsPasswdAgain(t *testing.T) {
	passwd := file(t, "passwd", "alice:x:5001:6001::/:\n")
	p, stop := serve(t, "--passwd="+passwd)
	require.Contains(t, p.admit(t), `"identity":"5001:6001"`)
	next := passwd + ".next"
	require.NoError(t, os.WriteFile(next, []byte("alice:x:5002:6002::/:\n"), 0o600))
	require.NoError(t, os.Rename(next, passwd))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Contains(c, p.admit(t), `"identity":"5002:6002"`)
	}, machine.Patience, 100*time.Millisecond)
	// The metric changes shortly after the new file is in use.
	require.Eventually(t, func() bool {
		_, metrics := p.get(t, p.http+"/metrics")
		return strings.Contains(metrics, `jupyter_user_passwd_reloads_total{result="loaded"} 2`)
	}, machine.Patience, 10*time.Millisecond)
	assert.Zero(t, stop())
}

// TestServeDeniesHomeInUserDirectory tests the denials if the directory that contains the home belongs to a user or to
// nobody, or is a symbolic link.
func TestServeDeniesHomeInUserDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give directories to other owners")
	}
	share := t.TempDir()
	alice := filepath.Join(share, "home", "a", "alice")
	require.NoError(t, os.MkdirAll(alice, 0o755))
	require.NoError(t, os.Chown(alice, 5001, 6001))
	path := file(t, "config.yaml", "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"+
		"share: {home: 'home/{initial}/{user}'}\n")
	p, stop := serve(t, "--config="+path, "--share="+share, "--homes-fresh=1ns", "--homes-fresh-missing=1ns")
	require.Contains(t, p.admit(t), `"identity":"5001:6001"`)
	require.NoError(t, os.Chown(filepath.Join(share, "home", "a"), 5002, 0))
	assert.Contains(t, p.admit(t), "the home of alice is in home/a, which belongs to UID 5002 on the share: its owner could "+"replace a home with another directory; ask the admin to chown that directory to root")
	require.NoError(t, os.Chown(filepath.Join(share, "home", "a"), 65534, 0))
	assert.Contains(t, p.admit(t), "the share does not show who owns home/a, which contains the home of alice: UID 65534 is nobody, which is what NFS "+
		"shows for an owner that it cannot map (idmapd) or squashes; ask the admin to look at the ID mapping of NFS")
	require.NoError(t, os.Rename(filepath.Join(share, "home", "a"), filepath.Join(share, "home", "b")))
	require.NoError(t, os.Symlink("b", filepath.Join(share, "home", "a")))
	assert.Contains(t, p.admit(t), "the home of alice is behind home/a, which is a symbolic link on the share")
	assert.Zero(t, stop())
}

// TestServeFindsHomesByPasswd tests that with share.homePrefix the home field of a passwd file is the path of the home.
func TestServeFindsHomesByPasswd(t *testing.T) {
	configured := "--config=" + file(t, "config.yaml", "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\nshare: {homePrefix: /hpc}\n")
	for field, want := range map[string]string{
		"/hpc/home/a/alice": `"jupyter-user.io/home":"/hpc/home/a/alice"`,
		"/home/alice":       "the home field of alice must be below /hpc (share.homePrefix)",
		"":                  "the home field of alice is empty: ask the admin to correct it in the directory service, or in the passwd file",
	} {
		p, stop := serve(t, configured, "--passwd="+file(t, "passwd", "alice:x:5001:6001::"+field+":/bin/bash\n"))
		response := p.admit(t)
		if patch := regexp.MustCompile(`"patch":"([^"]*)"`).FindStringSubmatch(response); patch != nil {
			operations, err := base64.StdEncoding.DecodeString(patch[1])
			require.NoError(t, err)
			response = string(operations)
		}
		assert.Contains(t, response, want)
		assert.Zero(t, stop())
	}
	c := config.Default()
	c.Share.HomePrefix = "/hpc"
	_, err := sourceOptions{}.open(t.Context(), c, nil, nil)
	assert.EqualError(t, err, "with share.homePrefix the home field of a directory service decides where homes are: configure identity.ldap, or "+
		"give --passwd")
}

// TestShareFlagWithHomePrefix tests that --share and share.homePrefix together are an error.
func TestShareFlagWithHomePrefix(t *testing.T) {
	c := config.Default()
	c.Share.HomePrefix = "/hpc"
	_, err := sourceOptions{share: t.TempDir()}.open(t.Context(), c, nil, nil)
	assert.ErrorContains(t, err, "--share finds the owner of the home where share.home says, and with share.homePrefix "+
		"the directory service decides where homes are: leave one of them out")
}
