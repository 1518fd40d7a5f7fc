package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// TestServeKnowsPeople: by the owner of the home, by passwd and group, and by both. The reviews' pod is alice's.
func TestServeKnowsPeople(t *testing.T) {
	homes := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(homes, "alice"), 0o700))
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(filepath.Join(homes, "alice"), 5001, 6001))
	}
	owner, err := os.Stat(filepath.Join(homes, "alice"))
	require.NoError(t, err)
	uid, gid := ownerOf(owner)
	agrees := file(t, "passwd", fmt.Sprintf("alice:x:%d:7001::/home/alice:/bin/bash\n", uid))
	differs := file(t, "passwd", fmt.Sprintf("alice:x:%d:7001::/home/alice:/bin/bash\n", uid+1))
	group := file(t, "group", "people:x:7001:\nproject:x:7002:bob,alice\n")
	for name, c := range map[string]struct {
		args     []string
		identity string
	}{
		"nowhere":              {nil, ""},
		"by the home":          {[]string{"--homes=" + homes}, fmt.Sprintf("%d:%d", uid, gid)},
		"by passwd":            {[]string{"--passwd=" + agrees}, fmt.Sprintf("%d:7001", uid)},
		"by passwd and group":  {[]string{"--passwd=" + agrees, "--group=" + group}, fmt.Sprintf("%d:7001:7002", uid)},
		"by both":              {[]string{"--homes=" + homes, "--passwd=" + agrees, "--group=" + group}, fmt.Sprintf("%d:7001:7002", uid)},
		"by two that disagree": {[]string{"--homes=" + homes, "--passwd=" + differs}, "IdentityDisputed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, stop := serve(t, c.args...)
			said := p.admit(t)
			if c.identity == "" {
				assert.NotContains(t, said, `"identity"`)
			} else {
				assert.Contains(t, said, c.identity)
			}
			assert.Zero(t, stop())
		})
	}
}

// TestServeReadsPasswdAnew without a restart.
func TestServeReadsPasswdAnew(t *testing.T) {
	passwd := file(t, "passwd", "alice:x:5001:6001::/:\n")
	p, stop := serve(t, "--passwd="+passwd)
	require.Contains(t, p.admit(t), `"identity":"5001:6001"`)
	next := passwd + ".next"
	require.NoError(t, os.WriteFile(next, []byte("alice:x:5002:6002::/:\n"), 0o600))
	require.NoError(t, os.Rename(next, passwd))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Contains(c, p.admit(t), `"identity":"5002:6002"`)
	}, machine.Patience, 100*time.Millisecond)
	// What is taken over is counted a moment later.
	require.Eventually(t, func() bool {
		_, metrics := p.get(t, p.http+"/metrics")
		return strings.Contains(metrics, `jupyter_user_passwd_reloads_total{result="loaded"} 2`)
	}, machine.Patience, 10*time.Millisecond)
	assert.Zero(t, stop())
}

func ownerOf(info os.FileInfo) (uid, gid uint32) {
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid, stat.Gid
}
