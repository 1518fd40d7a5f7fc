package ldap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/slapd"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
)

// TestList tests a list of several pages with an unusable account.
func TestList(t *testing.T) {
	t.Parallel()
	many := repeat(1200, func(i int) string { return account(fmt.Sprintf("user%d", i), 10_000+i) })
	twoNames := strings.Replace(account("two", 5005), "uid: two\n", "uid: two\nuid: names\n", 1)
	server := directory(t, slapd.Options{LDIF: many + twoNames})
	listed, err := open(t, settings(t, server, config.PresetRFC2307)).List(t.Context())
	require.NoError(t, err)
	assert.Len(t, listed, 1203)
	assert.Contains(t, listed, ldap.Listed{Name: "alice", UID: 5003})
	assert.Contains(t, listed, ldap.Listed{Name: "user1199", UID: 11_199})
	assert.Contains(t, listed, ldap.Listed{Name: "uid=two,ou=people,dc=example,dc=org",
		Fault: "has 2 values of uid in the directory service, and must have one"})
}

// TestListOfDisabledAccounts tests that the list has no disabled accounts of Active Directory, and none without a UID. An
// account that does not show whether it is disabled is unusable.
func TestListOfDisabledAccounts(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: units + adUser("alice", 512, 5003, 6003) + adUser("left", 514, 5004, 6003) +
		adUser("windows", 512, 0, 0) + strings.Replace(adUser("mallory", 512, 5005, 6003), "userAccountControl: 512\n", "", 1)})
	s := open(t, settings(t, server, config.PresetAD))
	listed, err := s.List(t.Context())
	require.NoError(t, err)
	const unreadable = "has no userAccountControl that the webhook can read, which says whether an account is disabled"
	assert.Equal(t, []ldap.Listed{{Name: "alice", UID: 5003}, {Name: "mallory", Fault: unreadable}}, listed)
	assert.Equal(t, unreadable, lookUp(t, s, "mallory"), "the list and a lookup agree")
}

// TestLetterCaseOfAttributes tests a server that writes the names of attributes in lower case.
func TestLetterCaseOfAttributes(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: units + adUser("alice", 512, 5003, 6003) + adUser("left", 514, 5004, 6003)})
	c := settings(t, server, config.PresetAD)
	address := listen(t, func(client net.Conn) {
		behind, err := net.Dial("tcp", strings.TrimPrefix(server.LDAP, "ldap://"))
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(behind, client); _ = behind.Close() }()
		for response := make([]byte, 1<<16); ; {
			n, err := behind.Read(response)
			for _, name := range []string{"sAMAccountName", "userAccountControl", "uidNumber", "gidNumber"} {
				copy(response, bytes.ReplaceAll(response[:n], []byte(name), []byte(strings.ToLower(name))))
			}
			if _, _ = client.Write(response[:n]); err != nil {
				return
			}
		}
	})
	c.URLs, c.Insecure = []string{"ldap://" + address}, true
	s := open(t, c)
	assert.Equal(t, "5003:6003", lookUp(t, s, "alice"))
	assert.Equal(t, "nobody", lookUp(t, s, "left"), "a disabled account")
	listed, err := s.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []ldap.Listed{{Name: "alice", UID: 5003}}, listed)
}

// TestIncompleteList tests that List returns the accounts that the server sent before an error.
func TestIncompleteList(t *testing.T) {
	t.Parallel()
	many := repeat(1200, func(i int) string { return account(fmt.Sprintf("user%d", i), 10_000+i) })
	reader := "dn: cn=reader,dc=example,dc=org\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n" +
		"userPassword: reads\n\n"
	server := directory(t, slapd.Options{LDIF: many + reader, Database: "limits dn.exact=\"cn=reader,dc=example,dc=org\" size.prtotal=700\n" +
		"limits * size=unlimited"})

	t.Run("size limit of the server", func(t *testing.T) {
		c := settings(t, server, config.PresetRFC2307)
		c.Bind.DN, c.Bind.PasswordFile = "cn=reader,dc=example,dc=org", file(t, "password", "reads")
		listed, err := open(t, c).List(t.Context())
		require.ErrorContains(t, err, "the server returns no more entries than its limit: raise it for the account that the webhook binds as")
		assert.GreaterOrEqual(t, len(listed), 500)
		assert.Less(t, len(listed), 1200)
	})
	t.Run("closed connection", func(t *testing.T) {
		c := settings(t, server, config.PresetRFC2307)
		var limit atomic.Int64
		limit.Store(1 << 40)
		c.URLs = []string{"ldaps://" + startProxy(t, strings.TrimPrefix(server.LDAPS, "ldaps://"), &limit)}
		s := open(t, c)
		limit.Store(70_000)
		listed, err := s.List(t.Context())
		require.Error(t, err)
		assert.GreaterOrEqual(t, len(listed), 500, "the complete pages")
		assert.Less(t, len(listed), 1200)
	})
	t.Run("cancelled context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("terminated"))
		_, err := open(t, settings(t, server, config.PresetRFC2307)).List(ctx)
		require.ErrorContains(t, err, "terminated")
	})
	t.Run("second server", func(t *testing.T) {
		c := settings(t, server, config.PresetRFC2307)
		c.URLs = []string{"ldaps://127.0.0.1:1", server.LDAPS}
		listed, err := open(t, c).List(t.Context())
		require.NoError(t, err)
		assert.Len(t, listed, 1202)
	})
}

// startProxy returns the address of a proxy to a server. The proxy closes each connection after limit bytes from the server.
func startProxy(t *testing.T, server string, limit *atomic.Int64) string {
	t.Helper()
	return listen(t, func(client net.Conn) {
		behind, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(behind, client); _ = behind.Close() }()
		_, _ = io.CopyN(client, behind, limit.Load())
	})
}
