package ldap_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/samba"
	"jupyter-user.io/jupyter-user-webhook/test/slapd"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
)

const (
	usersDN   = "CN=Users," + samba.BaseDN
	accountPW = "Passw0rd of an account"
)

// domain is a domain whose controller is Samba, with a connection that is bound as the administrator.
type domain struct {
	*samba.Controller
	admin *goldap.Conn
}

// TestSambaActiveDirectory uses Samba as a domain controller of Active Directory, with the preset "ad".
func TestSambaActiveDirectory(t *testing.T) {
	if os.Getenv("RELEASE_CHECK") == "" {
		t.Skip("skipped: make release-check runs it, because a domain takes half a minute to make")
	}
	controller := samba.Start(t)
	d := &domain{controller, controller.Connect(t)}
	d.user(t, "alice", 5003, "mail: a.liddell@corp.example", "unixHomeDirectory: /home/alice")
	d.user(t, "Eve", 5007)
	d.user(t, "bob", 5004)
	d.Tool(t, "user", "disable", "bob")
	d.user(t, "carol", 0)
	d.Tool(t, "user", "create", "webhook", accountPW)

	t.Run("POSIX attributes", d.testPOSIX)
	t.Run("letter case", d.testLetterCase)
	t.Run("groups", d.testGroups)
	t.Run("hub names", d.testHubNames)
	t.Run("transport and bind", d.testTransport)
	t.Run("diagnosis", d.testDiagnose)
	t.Run("list of several pages", d.testList)
	t.Run("restart", d.testRestart)
}

// settings returns settings that bind as the account "webhook" and search the whole domain.
func (d *domain) settings(t testing.TB) config.LDAP {
	t.Helper()
	c := settings(t, &slapd.Server{LDAPS: samba.LDAPS, CAFile: d.CAFile}, config.PresetAD)
	c.Bind = config.LDAPBind{
		Method: config.BindSimple, DN: "CN=webhook," + usersDN, PasswordFile: file(t, "password", accountPW),
	}
	c.Users.BaseDN, c.Groups.BaseDN, c.Groups.Filter = samba.BaseDN, samba.BaseDN, ""
	return c
}

// user creates an account that is not disabled. If uid is 0, the account has no POSIX attributes.
func (d *domain) user(t *testing.T, name string, uid int, more ...string) {
	t.Helper()
	require.NoError(t, d.tryUser(name, name, uid, more...))
}

func (d *domain) tryUser(cn, account string, uid int, more ...string) error {
	add := goldap.NewAddRequest("CN="+cn+","+usersDN, nil)
	add.Attribute("objectClass", []string{"user"})
	add.Attribute("sAMAccountName", []string{account})
	add.Attribute("userPrincipalName", []string{cn + "@corp.example"})
	// A normal account that needs no password, and is not disabled.
	add.Attribute("userAccountControl", []string{"544"})
	if uid > 0 {
		add.Attribute("uidNumber", []string{strconv.Itoa(uid)})
		add.Attribute("gidNumber", []string{"6003"})
	}
	for _, line := range more {
		attribute, value, _ := strings.Cut(line, ": ")
		add.Attribute(attribute, []string{value})
	}
	return d.admin.Add(add)
}

// group creates a group of accounts and groups. If gid is 0, the group has no GID.
func (d *domain) group(t *testing.T, name string, gid int, members ...string) {
	t.Helper()
	add := goldap.NewAddRequest("CN="+name+","+usersDN, nil)
	add.Attribute("objectClass", []string{"group"})
	add.Attribute("sAMAccountName", []string{name})
	if gid > 0 {
		add.Attribute("gidNumber", []string{strconv.Itoa(gid)})
	}
	for i := range members {
		members[i] = "CN=" + members[i] + "," + usersDN
	}
	if len(members) > 0 {
		add.Attribute("member", members)
	}
	require.NoError(t, d.admin.Add(add))
}

func (d *domain) search(t *testing.T, filter string, attributes ...string) *goldap.SearchResult {
	t.Helper()
	found, err := d.admin.Search(&goldap.SearchRequest{
		BaseDN: samba.BaseDN, Scope: goldap.ScopeWholeSubtree, Filter: filter, Attributes: attributes,
	})
	require.NoError(t, err)
	return found
}

func (d *domain) testPOSIX(t *testing.T) {
	c := d.settings(t)
	assert.NotEmpty(t, d.search(t, "(sAMAccountName=alice)", "uidNumber").Referrals, "the controller sends continuation references")
	s := open(t, c)
	assert.Equal(t, "5003:6003", lookUp(t, s, "alice"), "continuation references are ignored")
	assert.Equal(t, "nobody", lookUp(t, s, "bob"), "a disabled account")
	assert.Equal(t, "has no uidNumber in Active Directory: the account needs the POSIX attributes uidNumber and gidNumber, "+
		"because IDs that SSSD computes out of a SID are not the webhook's", lookUp(t, s, "carol"))
	d.Tool(t, "user", "enable", "bob")
	assert.Equal(t, "5004:6003", lookUp(t, s, "bob"))
	d.Tool(t, "user", "disable", "bob")
	assert.Equal(t, "nobody", lookUp(t, s, "bob"))
	assert.Equal(t, "nobody", lookUp(t, s, "mallory"))

	configured := config.Default()
	configured.Identity.LDAP, configured.Share.HomePrefix = c, "/home"
	home, err := open(t, configured.DirectoryService()).FindUncached(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	require.NotNil(t, home)
	assert.Equal(t, "/home/alice", home.Home, "unixHomeDirectory")
}

// testLetterCase tests names that differ only in case. Active Directory compares names without case, so two accounts cannot
// have such names. But in an attribute that is not kept unique, such as uid, two accounts can have values that differ only
// in case.
func (d *domain) testLetterCase(t *testing.T) {
	assert.Error(t, d.tryUser("alice's other", "ALICE", 5009), "sAMAccountName is unique without case")
	s := open(t, d.settings(t))
	assert.Len(t, d.search(t, "(sAMAccountName=ALICE)", "sAMAccountName").Entries, 1, "the controller finds it without case")
	assert.Equal(t, "nobody", lookUp(t, s, "ALICE"))
	assert.Equal(t, "nobody", lookUp(t, s, "Alice"))
	assert.Equal(t, "5007:6003", lookUp(t, s, "Eve"))
	assert.Equal(t, "nobody", lookUp(t, s, "eve"))

	d.user(t, "first", 5021, "uid: Frank")
	c := d.settings(t)
	c.Users.Name = "uid"
	s = open(t, c)
	assert.Equal(t, "5021:6003", lookUp(t, s, "Frank"))
	assert.Equal(t, "nobody", lookUp(t, s, "frank"))
	// The test uses two accounts, then three, because this server ignores the size limit of the request and returns all accounts.
	for i, other := range []string{"frank", "FRANK"} {
		d.user(t, fmt.Sprint("other", i), 5022+i, "uid: "+other)
		for _, name := range []string{"Frank", "frank"} {
			assert.Equal(t, "is the uid of several accounts in the directory service", lookUp(t, s, name))
		}
	}
}

// testGroups compares the groups of an account with those that the domain controller finds by LDAP_MATCHING_RULE_IN_CHAIN.
func (d *domain) testGroups(t *testing.T) {
	d.user(t, "grace", 5011)
	d.group(t, "lab", 7001, "grace", "bob")
	d.group(t, "windows", 0, "lab")
	d.group(t, "faculty", 7002, "windows")
	d.group(t, "university", 7003, "faculty")
	d.group(t, "others", 7004, "alice")
	circle := goldap.NewModifyRequest("CN=lab,"+usersDN, nil)
	circle.Add("member", []string{"CN=university," + usersDN})
	require.NoError(t, d.admin.Modify(circle))
	primary := goldap.NewModifyRequest("CN=Domain Users,"+usersDN, nil)
	primary.Replace("gidNumber", []string{"7005"})
	require.NoError(t, d.admin.Modify(primary))

	c := d.settings(t)
	assert.Equal(t, "5011:6003:7001,7005", lookUp(t, open(t, c), "grace"), "with Domain Users, which lists no members")
	c.Groups.Nested = true
	chain := d.search(t, "(member:1.2.840.113556.1.4.1941:=CN=grace,"+usersDN+")", "gidNumber")
	var gids []string
	for _, group := range chain.Entries {
		if gid := group.GetAttributeValue("gidNumber"); gid != "" {
			gids = append(gids, gid)
		}
	}
	slices.Sort(gids)
	assert.Equal(t, []string{"7001", "7002", "7003"}, gids)
	gids = append(gids, "7005") // the primary group
	assert.Equal(t, "5011:6003:"+strings.Join(gids, ","), lookUp(t, open(t, c), "grace"))

	d.group(t, "mailing list", 7006, "grace")
	d.group(t, "behind the list", 7007, "mailing list")
	list := goldap.NewModifyRequest("CN=mailing list,"+usersDN, nil)
	list.Replace("groupType", []string{"2"})
	require.NoError(t, d.admin.Modify(list))
	assert.Equal(t, "5011:6003:"+strings.Join(gids, ","), lookUp(t, open(t, c), "grace"), "a distribution group does not count")
}

func (d *domain) testHubNames(t *testing.T) {
	for attribute, want := range map[string]map[string]string{
		"userPrincipalName": {"alice@corp.example": "alice", "Alice@corp.example": "", "bob@corp.example": "", "alice": "", "*": ""},
		"mail":              {"a.liddell@corp.example": "alice", "A.Liddell@corp.example": "", "a.liddell@corp.example ": "", "": ""},
	} {
		c := d.settings(t)
		c.Users.HubName = attribute
		s := open(t, c)
		for hub, user := range want {
			name, err := s.FromHub(t.Context(), hub)
			require.NoError(t, err, "%s=%q", attribute, hub)
			assert.Equal(t, user, name, "%s=%q", attribute, hub)
		}
	}
}

func (d *domain) testTransport(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*config.LDAP)
		want   string
	}{
		"StartTLS":          {func(c *config.LDAP) { c.URLs, c.StartTLS = []string{samba.LDAP}, true }, "5003:6003"},
		"bind as UPN":       {func(c *config.LDAP) { c.Bind.DN = "webhook@corp.example" }, "5003:6003"},
		"another authority": {func(c *config.LDAP) { c.CAFile = "" }, "TLS: tls: failed to verify certificate"},
		"another host":      {func(c *config.LDAP) { c.URLs = []string{samba.OtherHost} }, "TLS: tls: failed to verify certificate: x509: certificate is valid for 127.0.0.1, 127.99.19.1, not 127.99.19.2"},
		"plain text":        {func(c *config.LDAP) { c.URLs, c.Insecure = []string{samba.LDAP}, true }, `bind: LDAP Result Code 8 "Strong Auth Required"`},
		"wrong password":    {func(c *config.LDAP) { c.Bind.PasswordFile = file(t, "password", "wrong") }, `bind: LDAP Result Code 49 "Invalid Credentials"`},
		"anonymous":         {func(c *config.LDAP) { c.Bind = config.LDAPBind{Method: config.BindAnonymous} }, `LDAP Result Code 1 "Operations Error"`},
	} {
		t.Run(name, func(t *testing.T) {
			settings := d.settings(t)
			c.change(&settings)
			assert.Contains(t, lookUp(t, open(t, settings), "alice"), c.want)
		})
	}
	t.Run("changed password", func(t *testing.T) {
		const changed = "Passw0rd that is new"
		c := d.settings(t)
		d.Tool(t, "user", "setpassword", "webhook", "--newpassword="+changed)
		s := open(t, c)
		assert.Contains(t, lookUp(t, s, "alice"), "Invalid Credentials")
		require.NoError(t, os.WriteFile(c.Bind.PasswordFile, []byte(changed), 0o600))
		assert.Equal(t, "5003:6003:7004,7005", lookUp(t, s, "alice"))
		d.Tool(t, "user", "setpassword", "webhook", "--newpassword="+accountPW)
	})
}

// testDiagnose tests that Diagnose warns if the bound account can write the attributes, as the administrator can.
func (d *domain) testDiagnose(t *testing.T) {
	remarks := func(change func(*config.LDAP)) string {
		c := config.Default()
		c.Identity.LDAP = d.settings(t)
		change(&c.Identity.LDAP)
		found, err := ldap.Diagnose(c, named(t, "alice"))
		require.NoError(t, err)
		var text strings.Builder
		for _, remark := range found {
			fmt.Fprintf(&text, "%s: %s\n", remark.Kind, remark.Message)
		}
		return text.String()
	}
	text := remarks(func(*config.LDAP) {})
	assert.Contains(t, text, "ok: alice has UID 5003 and GID 6003, and is in the groups [7004 7005]")
	assert.NotContains(t, text, "warning")
	assert.NotContains(t, text, "failed")
	text = remarks(func(c *config.LDAP) {
		c.Bind.DN, c.Bind.PasswordFile = samba.Administrator, file(t, "password", samba.Password)
	})
	assert.Regexp(t, `warning: the account that the webhook binds as may write .*uidNumber.* of `, text)
}

// testList lists more accounts than a page has.
func (d *domain) testList(t *testing.T) {
	const many = 510
	for i := range many {
		d.user(t, fmt.Sprintf("user%d", i), 10_000+i)
	}
	listed, err := open(t, d.settings(t)).List(t.Context())
	require.NoError(t, err)
	assert.Contains(t, listed, ldap.Listed{Name: "user509", UID: 10_509})
	assert.NotContains(t, listed, ldap.Listed{Name: "bob", UID: 5004}, "disabled")
	assert.Equal(t, many, len(slices.DeleteFunc(slices.Clone(listed), func(l ldap.Listed) bool { return !strings.HasPrefix(l.Name, "user") })))
}

func (d *domain) testRestart(t *testing.T) {
	s, err := ldap.Open(t.Context(), d.settings(t), prometheus.NewRegistry(), nil)
	require.NoError(t, err)
	assert.Equal(t, "5003:6003:7004,7005", lookUp(t, s, "alice"))
	d.Kill()
	assert.Contains(t, lookUp(t, s, "alice"), "connection refused")
	d.Run(t)
	assert.Equal(t, "5003:6003:7004,7005", lookUp(t, s, "alice"))
}
