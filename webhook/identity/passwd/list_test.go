package passwd_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
)

func list(t *testing.T, content string) ([]passwd.Listed, []string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passwd")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return passwd.List(path, config.User{MaxLength: 32, Domains: []string{"corp.example"}})
}

// TestList tests a file with a system account, bad lines and a name with two lines.
func TestList(t *testing.T) {
	t.Parallel()
	listed, bad, err := list(t, "root:x:0:0::/root:/bin/sh\nalice@corp.example:x:5001:6001:::\n# a comment\nhost$:x:7:7:::\n"+
		"alice:x:1:1:::\nbad:x:one:1:::\nshort\n")
	require.NoError(t, err)
	assert.Equal(t, []passwd.Listed{{"root", 0, 0}, {"alice", 5001, 6001}, {"host$", 7, 7}}, listed)
	require.Len(t, bad, 2)
	assert.Contains(t, bad[0], `passwd: line 6: the UID "one" is not a number`)
	assert.Contains(t, bad[1], "passwd: line 7: it has 1 fields")
}

func TestIncompleteList(t *testing.T) {
	t.Parallel()
	listed, _, err := list(t, "alice:x:5001:6001:::\nbob:x:50")
	require.ErrorContains(t, err, "the last line has no line break")
	assert.Equal(t, []passwd.Listed{{"alice", 5001, 6001}}, listed)
	_, _, err = passwd.List(filepath.Join(t.TempDir(), "missing"), config.User{})
	require.ErrorContains(t, err, "no such file or directory")
}
