package slapd_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/test/slapd"
)

// TestEachSchema starts a server with each schema. The server must serve LDAP and LDAPS, and must serve LDAP again after
// Kill and Run.
func TestEachSchema(t *testing.T) {
	for _, schema := range []slapd.Schema{slapd.RFC2307, slapd.RFC2307bis, slapd.AD} {
		t.Run(string(schema), func(t *testing.T) {
			t.Parallel()
			s := slapd.Start(t, slapd.Options{Schema: schema})
			base := func(url string) string {
				found, err := s.Client(t, "ldapsearch", "-x", "-LLL", "-H", url, "-D", slapd.AdminDN, "-w", slapd.AdminPassword, "-b",
					slapd.Suffix, "-s", "base", "dc").CombinedOutput()
				if err != nil {
					t.Log(string(found))
					return ""
				}
				return string(found)
			}
			const entry = "dn: dc=example,dc=org\ndc: example\n\n"
			assert.Equal(t, entry, base(s.LDAP))
			assert.Equal(t, entry, base(s.LDAPS))
			s.Kill()
			assert.Empty(t, base(s.LDAP))
			s.Run(t)
			assert.Equal(t, entry, base(s.LDAP))
			assert.Empty(t, s.Search(t, slapd.AdminDN, "wrong", "-b", slapd.Suffix))
		})
	}
}
