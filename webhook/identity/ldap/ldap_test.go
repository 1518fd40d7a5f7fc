package ldap_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/slapd"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

func TestRFC2307(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: units + account("alice", 5003) + account("bob", 5004) +
		posixGroup("lab", 7001, "alice", "bob") + posixGroup("gpu", 7002, "alice") + posixGroup("own", 6003, "alice") +
		"dn: ou=elsewhere,dc=example,dc=org\nobjectClass: organizationalUnit\nou: elsewhere\n\n" +
		strings.ReplaceAll(account("carol", 5005), "ou=people", "ou=elsewhere")})
	s := open(t, settings(t, server, config.PresetRFC2307))
	assert.Equal(t, "5003:6003:7001,7002", lookUp(t, s, "alice"), "the primary group is not a supplementary one")
	assert.Equal(t, "5004:6003:7001", lookUp(t, s, "bob"))
	assert.Equal(t, "nobody", lookUp(t, s, "carol"), "outside of users.baseDN")
	assert.Equal(t, "nobody", lookUp(t, s, "Alice"), "uid is compared without case by the server, and byte for byte here")
	assert.Equal(t, "nobody", lookUp(t, s, "ALICE"))

	c := settings(t, server, config.PresetRFC2307)
	c.Groups.BaseDN = ""
	assert.Equal(t, "5003:6003", lookUp(t, open(t, c), "alice"), "without groups.baseDN there are no supplementary groups")
	c = settings(t, server, config.PresetRFC2307)
	c.Users.Filter = "(&(objectClass=posixAccount)(!(uid=bob)))"
	assert.Equal(t, "nobody", lookUp(t, open(t, c), "bob"), "the filter is the site's")
}

func TestRFC2307bis(t *testing.T) {
	t.Parallel()
	const alice = "uid=alice,ou=people"
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307bis, LDIF: units + account("alice", 5003) +
		groupOfNames("lab", 7001, "UID=Alice , ou=People") + groupOfNames("faculty", 7002, "cn=lab,ou=groups") +
		groupOfNames("university", 7003, "cn=faculty,ou=groups") + groupOfNames("circle", 7004, "cn=university,ou=groups", "cn=circle,ou=groups") +
		groupOfNames("back", 7005, "cn=circle,ou=groups") + groupOfNames("no-posix", 0, alice)})
	c := settings(t, server, config.PresetRFC2307bis)
	assert.Equal(t, "5003:6003:7001", lookUp(t, open(t, c), "alice"), "nested groups where asked for, and DNs as the server compares them")
	c.Groups.Nested = true
	assert.Equal(t, "5003:6003:7001,7002,7003,7004,7005", lookUp(t, open(t, c), "alice"))
	server.Modify(t, "dn: cn=lab,ou=groups,dc=example,dc=org\nchangetype: modify\nadd: member\nmember: cn=back,ou=groups,dc=example,dc=org\n")
	assert.Equal(t, "5003:6003:7001,7002,7003,7004,7005", lookUp(t, open(t, c), "alice"), "a circle ends")
	// OpenLDAP does not know the class ipaUserGroup.
	c.Groups.Filter = "(|(objectClass=posixGroup)(objectClass=groupOfNames))"
	server.Modify(t, "dn: cn=hidden,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\nobjectClass: "+
		"posixGroup\ngidNumber: 7006\nmember: cn=no-posix,ou=groups,dc=example,dc=org\n")
	assert.Equal(t, "5003:6003:7001,7002,7003,7004,7005,7006", lookUp(t, open(t, c), "alice"), "through a group that has no GID")
	c.Groups.Nested = false
	assert.Equal(t, "5003:6003:7001", lookUp(t, open(t, c), "alice"), "a group without a GID gives none")
}

// TestDeepGroups tests a group in a group, and so on, up to the maximum depth and one deeper.
func TestDeepGroups(t *testing.T) {
	t.Parallel()
	groups, gids, member := "", "", "uid=alice,ou=people"
	for depth := range 16 {
		name := fmt.Sprintf("level-%d", depth)
		groups, gids = groups+groupOfNames(name, 7001+depth, member), gids+fmt.Sprintf(",%d", 7001+depth)
		member = "cn=" + name + ",ou=groups"
	}
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307bis, LDIF: units + account("alice", 5003) + groups})
	c := settings(t, server, config.PresetRFC2307bis)
	c.Groups.Nested = true
	assert.Equal(t, "5003:6003:"+gids[1:], lookUp(t, open(t, c), "alice"))
	server.Modify(t, "dn: cn=deeper,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\nobjectClass: "+
		"posixGroup\ngidNumber: 8000\nmember: "+member+",dc=example,dc=org\n")
	assert.Contains(t, lookUp(t, open(t, c), "alice"), "is in groups in groups in the directory service, more than 16 deep")
}

func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	const normal, disabled, neverExpires = 512, 2, 65536
	server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: units + adUser("alice", normal, 5003, 6003) +
		adUser("bob", normal|disabled, 5004, 6003) + adUser("carol", normal|neverExpires, 0, 0) + adUser("dave", normal, 5006, 0) +
		adUser("Eve", normal|neverExpires, 5007, 6003) +
		strings.Replace(adUser("mallory", normal, 5008, 6003), "userAccountControl: 512\n", "", 1) +
		adGroup("lab", 7001, "cn=alice,ou=people", "cn=bob,ou=people") + adGroup("windows", 0, "cn=lab,ou=groups") +
		adGroup("faculty", 7002, "cn=windows,ou=groups")})
	c := settings(t, server, config.PresetAD)
	s := open(t, c)
	assert.Equal(t, "5003:6003:7001", lookUp(t, s, "alice"))
	assert.Equal(t, "nobody", lookUp(t, s, "bob"), "a disabled account")
	assert.Equal(t, "has no uidNumber in Active Directory: the account needs the POSIX attributes uidNumber and gidNumber, "+
		"because IDs that SSSD computes out of a SID are not the webhook's", lookUp(t, s, "carol"))
	assert.Contains(t, lookUp(t, s, "dave"), "has no gidNumber in Active Directory")
	assert.Equal(t, "nobody", lookUp(t, s, "eve"), "two users that differ in case")
	assert.Equal(t, "5007:6003", lookUp(t, s, "Eve"))
	assert.Contains(t, lookUp(t, s, "mallory"), "has no userAccountControl that the webhook can read")
	c.Groups.Nested = true
	assert.Equal(t, "5003:6003:7001,7002", lookUp(t, open(t, c), "alice"), "nested groups, through one without a GID")

	c.Users.HubName = "userPrincipalName"
	s = open(t, c)
	for hub, want := range map[string]string{
		"alice@corp.example": "alice", "Alice@corp.example": "", "bob@corp.example": "", "nobody@corp.example": "", "*": "",
	} {
		name, err := s.FromHub(t.Context(), hub)
		require.NoError(t, err)
		assert.Equal(t, want, name, "%s", hub)
	}
	server.Modify(t, "dn: cn=dave,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: alice@corp.example\n")
	name, err := s.FromHub(t.Context(), "alice@corp.example")
	require.NoError(t, err)
	assert.Equal(t, "alice", name, "remembered")
	_, err = s.FromHubUncached(t.Context(), "alice@corp.example")
	assert.EqualError(t, err, "is the userPrincipalName of several accounts in the directory service")
}

// TestPrimaryGroupOfActiveDirectory tests the group that an account names by primaryGroupID, and the groups that contain it. The
// SID of the domain has bytes that must be escaped in a filter.
func TestPrimaryGroupOfActiveDirectory(t *testing.T) {
	t.Parallel()
	sid := func(last ...byte) string {
		domain := []byte{1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, '(', '*', ')', '\\', 0xff, 0xfe, 0, 0x80, '&', '|', '=', '\n'}
		return "objectSid:: " + base64.StdEncoding.EncodeToString(append(domain, last...)) + "\n"
	}
	const noSID = "objectSid:: AQUAAAAAAAUVAAAA\n"
	user := func(name, sidAndGroup string) string {
		return strings.Replace(adUser(name, 512, 5003, 6003), noSID, sidAndGroup, 1)
	}
	group := func(name string, gid int, sid string, members ...string) string {
		return strings.Replace(adGroup(name, gid, members...), "cn: ", sid+"cn: ", 1)
	}
	server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: units + user("alice", sid(0x50, 4, 0, 0)+"primaryGroupID: 513\n") +
		user("bob", sid(0x51, 4, 0, 0)) + user("carol", "primaryGroupID: 513\n") + user("dave", "objectSid:: AQUAAAAAAAU=\nprimaryGroupID: 513\n") +
		group("Domain Users", 7001, sid(1, 2, 0, 0)) + group("Domain Admins", 7002, sid(0, 2, 0, 0)) + adGroup("lab", 7003, "cn=alice,ou=people") +
		adGroup("everyone", 7004, "cn=Domain Users,ou=groups")})
	c := settings(t, server, config.PresetAD)
	s := open(t, c)
	assert.Equal(t, "5003:6003:7001,7003", lookUp(t, s, "alice"))
	for _, name := range []string{"bob", "carol", "dave"} {
		assert.Equal(t, "5003:6003", lookUp(t, s, name), "%s does not show primaryGroupID and a SID", name)
	}
	c.Groups.Nested = true
	assert.Equal(t, "5003:6003:7001,7003,7004", lookUp(t, open(t, c), "alice"))
	c.Groups.Filter = "(&(objectClass=group)(!(cn=Domain Users)))"
	assert.Equal(t, "5003:6003:7003", lookUp(t, open(t, c), "alice"), "the filter is the site's")
}

// TestAmbiguousAccounts tests two accounts with one name, and accounts with several or unusual values of the UID
// attribute.
func TestAmbiguousAccounts(t *testing.T) {
	t.Parallel()
	several := func(name string, values ...string) string {
		return strings.Replace(adUser(name, 512, 0, 6003), "gidNumber", "severalNumbers: "+strings.Join(values, "\nseveralNumbers: ")+"\ngidNumber", 1)
	}
	server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: units + adUser("alice", 512, 5003, 6003) +
		strings.Replace(adUser("alice", 512, 5009, 6003), "cn=alice", "cn=second", 1) +
		several("bob", "5004", "5005") + several("carol", "05003") + several("dave", "5e3") + several("erin", "-1") +
		several("frank", "4294967296") + several("grace", "4294967295") + several("heidi", "5003") + several("ivan", "5003 ", "5003x")})
	s := open(t, settings(t, server, config.PresetAD))
	_, err := s.Find(t.Context(), named(t, "alice"))
	_, isUnusable := errors.AsType[*identity.Unusable](err)
	assert.True(t, isUnusable)
	assert.EqualError(t, err, "is the sAMAccountName of several accounts in the directory service")
	c := settings(t, server, config.PresetAD)
	c.Users.UID = "severalNumbers"
	s = open(t, c)
	const noNumber = "has a severalNumbers in the directory service that is not a number from 0 to 4294967295"
	for name, want := range map[string]string{
		"bob":   "has 2 values of severalNumbers in the directory service, and must have one",
		"carol": noNumber, "dave": noNumber, "erin": noNumber, "frank": noNumber, "grace": "4294967295:6003", "heidi": "5003:6003",
		"ivan": "has 2 values of severalNumbers in the directory service, and must have one",
	} {
		assert.Equal(t, want, lookUp(t, s, name), name)
	}
}

// TestFromHubEscapesFilter looks up hub names that would change the filter if they were not escaped. A name with such
// characters is found if the directory service has it.
func TestFromHubEscapesFilter(t *testing.T) {
	t.Parallel()
	const special = `a*b(c)d\e&f|g!h=i~j<k>l,m+n"o;p#q/r s` + "é"
	server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: units + adUser("bob", 512, 5004, 6003) +
		strings.Replace(adUser("alice", 512, 5003, 6003), "userPrincipalName: alice@corp.example", "userPrincipalName: "+special, 1)})
	c := settings(t, server, config.PresetAD)
	c.Users.HubName = "userPrincipalName"
	s := open(t, c)
	found := map[string]string{special: "alice", "bob@corp.example": "bob"}
	for _, hub := range []string{
		special, "bob@corp.example", "*", "bob*", "bo\x00b", "bob@corp.example)(objectClass=*", "*)(uid=*))(|(uid=*", `\2a`, `bob\40corp.example`,
		"bob@corp.example ", " bob@corp.example", "", "(", ")", `\`, "\x00", "\xff", "bob@corp.example\n", "böb",
	} {
		name, err := s.FromHub(t.Context(), hub)
		require.NoError(t, err, "%q", hub)
		assert.Equal(t, found[hub], name, "%q", hub)
	}
}

// TestManyGroupsAndMembers tests a group of 10,000 members, which are not read, a user in 1,200 groups, which are read in
// pages, a user in more than 2,000 groups, and a server's size limit.
func TestManyGroupsAndMembers(t *testing.T) {
	t.Parallel()
	members := make([]string, 10_000)
	for i := range members {
		members[i] = fmt.Sprintf("user%d", i)
	}
	server := slapd.Start(t, slapd.Options{
		Schema: slapd.RFC2307, Database: "limits dn.exact=\"cn=reader,ou=people,dc=example,dc=org\" size=100",
		LDIF: units + account("user1", 5001) + account("user2", 5002) + posixGroup("everybody", 7000, members...) +
			strings.Replace(account("reader", 5010), "dn: uid=", "dn: cn=", 1) +
			repeat(1200, func(i int) string { return posixGroup(fmt.Sprintf("project%d", i), 10_000+i, "user1") }) +
			repeat(2001, func(i int) string { return posixGroup(fmt.Sprintf("team%d", i), 20_000+i, "user3") }) + account("user3", 5011),
	})
	server.Modify(t, "dn: cn=reader,ou=people,dc=example,dc=org\nchangetype: modify\nadd: userPassword\nuserPassword: secret\n")
	c := settings(t, server, config.PresetRFC2307)
	s := open(t, c)
	assert.Equal(t, "5002:6003:7000", lookUp(t, s, "user2"))
	id, err := s.Find(t.Context(), named(t, "user1"))
	require.NoError(t, err)
	require.NotNil(t, id)
	assert.Len(t, id.Groups, 1201)
	assert.Equal(t, "is in more than 2000 groups in the directory service", lookUp(t, s, "user3"))

	c.Bind.DN, c.Bind.PasswordFile = "cn=reader,ou=people,dc=example,dc=org", file(t, "reader", "secret")
	s = open(t, c)
	assert.Equal(t, "5002:6003:7000", lookUp(t, s, "user2"))
	assert.Contains(t, lookUp(t, s, "user1"), `the server returns no more entries than its limit: raise it for the account that the webhook `+
		`binds as: LDAP Result Code 4 "Size Limit Exceeded"`)
	_, err = s.Find(t.Context(), named(t, "user1"))
	_, isUnusable := errors.AsType[*identity.Unusable](err)
	assert.False(t, isUnusable, "503, not a denial")
}

// TestReferrals tests that references to other servers in a result, as Active Directory sends them, are ignored, and that a
// base DN on another server is an error.
func TestReferrals(t *testing.T) {
	t.Parallel()
	referral := func(dn string) string {
		return "dn: " + dn + "\nobjectClass: referral\nobjectClass: extensibleObject\nref: ldap://127.0.0.1:1/" + dn + "\n\n"
	}
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: units + account("alice", 5003) + posixGroup("lab", 7001, "alice") +
		referral("ou=branch,ou=people,dc=example,dc=org") + referral("ou=branch,ou=groups,dc=example,dc=org") +
		referral("ou=gone,dc=example,dc=org")})
	c := settings(t, server, config.PresetRFC2307)
	assert.Equal(t, "5003:6003:7001", lookUp(t, open(t, c), "alice"))
	c.Users.BaseDN = "ou=gone,dc=example,dc=org"
	assert.Contains(t, lookUp(t, open(t, c), "alice"), "the server refers to another one, which is not followed")
	c.Users.BaseDN = "ou=nothing,dc=example,dc=org"
	assert.Contains(t, lookUp(t, open(t, c), "alice"), "the server has no such entry, or hides it from the account")
}

// TestHomeAttribute tests that an account needs a home attribute only if homes come from the directory service.
func TestHomeAttribute(t *testing.T) {
	adHome := func(name, home string) string {
		return strings.TrimSuffix(adUser(name, 512, 5003, 6003), "\n") + "unixHomeDirectory: " + home + "\n\n"
	}
	for preset, c := range map[config.LDAPPreset]struct {
		schema  slapd.Schema
		account string
	}{
		config.PresetRFC2307:    {slapd.RFC2307, account("alice", 5003)},
		config.PresetRFC2307bis: {slapd.RFC2307bis, account("alice", 5003)},
		config.PresetAD:         {slapd.AD, adHome("alice", "/home/alice") + adUser("bob", 512, 5004, 6003)},
	} {
		t.Run(string(preset), func(t *testing.T) {
			t.Parallel()
			server := slapd.Start(t, slapd.Options{Schema: c.schema, LDIF: units + c.account})
			configured := config.Default()
			configured.Identity.LDAP = settings(t, server, preset)
			home := func(name string) string {
				id, err := open(t, configured.DirectoryService()).FindUncached(t.Context(), named(t, name))
				if err != nil {
					return err.Error()
				}
				require.NotNil(t, id)
				return id.Home
			}
			assert.Empty(t, home("alice"))
			configured.Share.HomePrefix = "/home"
			assert.Equal(t, "/home/alice", home("alice"))
			if preset == config.PresetAD {
				assert.Equal(t, "has no unixHomeDirectory in the directory service", home("bob"))
				configured.Identity.LDAP.Users.Home = "severalNumbers"
				assert.Equal(t, "has no severalNumbers in the directory service", home("alice"))
				server.Modify(t, "dn: cn=alice,ou=people,dc=example,dc=org\nchangetype: modify\nadd: severalNumbers\nseveralNumbers: "+
					"/home/a\nseveralNumbers: /home/b\n")
				assert.Equal(t, "has 2 values of severalNumbers in the directory service, and must have one", home("alice"))
			}
		})
	}
}
