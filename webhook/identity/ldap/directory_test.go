package ldap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/slapd"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

const units = "dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n\n" +
	"dn: ou=groups,dc=example,dc=org\nobjectClass: organizationalUnit\nou: groups\n\n"

// account returns the LDIF of an account for the presets rfc2307 and rfc2307bis. The account's GID is 6003.
func account(name string, uid int) string {
	return fmt.Sprintf("dn: uid=%[1]s,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: "+
		"%[1]s\ncn: %[1]s\nsn: %[1]s\nmail: %[1]s@corp.example\nuidNumber: %[2]d\ngidNumber: 6003\nhomeDirectory: /home/%[1]s\n\n", name, uid)
}

// posixGroup returns a group that lists its members by name.
func posixGroup(name string, gid int, members ...string) string {
	text := fmt.Sprintf("dn: cn=%[1]s,ou=groups,dc=example,dc=org\nobjectClass: posixGroup\ncn: %[1]s\ngidNumber: %[2]d\n", name, gid)
	for _, member := range members {
		text += "memberUid: " + member + "\n"
	}
	return text + "\n"
}

// groupOfNames returns a group that lists its members by DN.
func groupOfNames(name string, gid int, members ...string) string {
	text := fmt.Sprintf("dn: cn=%[1]s,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\n", name)
	if gid > 0 {
		text += fmt.Sprintf("objectClass: posixGroup\ngidNumber: %d\n", gid)
	}
	text += "cn: " + name + "\n"
	for _, member := range members {
		text += "member: " + member + ",dc=example,dc=org\n"
	}
	return text + "\n"
}

// adUser returns an account of Active Directory. control is its userAccountControl. A UID or GID of 0 is left out.
func adUser(name string, control, uid, gid int) string {
	text := fmt.Sprintf("dn: cn=%[1]s,ou=people,dc=example,dc=org\nobjectClass: user\ncn: %[1]s\nsAMAccountName: %[1]s\n"+
		"userPrincipalName: %[1]s@corp.example\nuserAccountControl: %[2]d\nobjectSid:: AQUAAAAAAAUVAAAA\n", name, control)
	if uid > 0 {
		text += fmt.Sprintf("uidNumber: %d\n", uid)
	}
	if gid > 0 {
		text += fmt.Sprintf("gidNumber: %d\n", gid)
	}
	return text + "\n"
}

func adGroup(name string, gid int, members ...string) string {
	text := fmt.Sprintf("dn: cn=%[1]s,ou=groups,dc=example,dc=org\nobjectClass: group\ncn: %[1]s\n", name)
	if gid > 0 {
		text += fmt.Sprintf("gidNumber: %d\n", gid)
	}
	for _, member := range members {
		text += "member: " + member + ",dc=example,dc=org\n"
	}
	return text + "\n"
}

// settings returns settings that use the server over LDAPS and bind as its administrator.
func settings(t testing.TB, s *slapd.Server, preset config.LDAPPreset) config.LDAP {
	t.Helper()
	c := config.Default().Identity.LDAP
	c.URLs, c.CAFile, c.Preset = []string{s.LDAPS}, s.CAFile, preset
	c.Bind = config.LDAPBind{Method: config.BindSimple, DN: slapd.AdminDN, PasswordFile: file(t, "password", slapd.AdminPassword+"\n")}
	c.Users.BaseDN, c.Groups.BaseDN = "ou=people,dc=example,dc=org", "ou=groups,dc=example,dc=org"
	if preset == config.PresetAD {
		// slapd does not have the matching rule for bits that the preset's filter uses.
		c.Groups.Filter = "(objectClass=group)"
	}
	// These times are long, because the machine can be busy. A test of one of these times sets a shorter time.
	c.WaitMilliseconds, c.FreshSeconds, c.FreshMissingSeconds = 60_000, 3600, 3600
	return c
}

func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func open(t testing.TB, c config.LDAP) *ldap.Source {
	t.Helper()
	s, err := ldap.Open(t.Context(), c, prometheus.NewRegistry(), nil)
	require.NoError(t, err)
	return s
}

var rules = config.User{AllowUpperCase: true, MaxLength: 32}

func named(t testing.TB, text string) user.Name {
	t.Helper()
	name, fault := user.Parse("", text, rules)
	require.Nil(t, fault)
	return name
}

// lookUp returns the identity as text, "nobody" for an unknown user, or the text of the error.
func lookUp(t testing.TB, s *ldap.Source, name string) string {
	t.Helper()
	id, err := s.FindUncached(t.Context(), named(t, name))
	switch {
	case err != nil:
		return err.Error()
	case id == nil:
		return "nobody"
	}
	return id.String()
}

func repeat(n int, text func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(text(i))
	}
	return b.String()
}

// soon is the time limit for something that happens at once on an idle machine.
const soon = time.Minute
