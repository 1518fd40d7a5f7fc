package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/pages"
	"jupyter-user.io/jupyter-user-webhook/test/slapd"
)

const (
	webhookDN = "uid=webhook,ou=services,dc=example,dc=org"
	peopleDN  = "ou=people,dc=example,dc=org"
	// onlyRead gives everyone the right to read all but passwords, and no right to write.
	onlyRead = "access to attrs=userPassword by * auth\naccess to * by * read"
)

// site has the entries of the page about directory services: alice, her groups, and the webhook's account.
var site = siteWithoutAccount + `dn: uid=webhook,ou=services,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: webhook
userPassword: secret

`

// siteWithoutAccount has the entries of site without the webhook's account, which step 5 of the page makes.
var siteWithoutAccount = slapd.Units + `dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: posixAccount
uid: alice
cn: Alice
sn: Liddell
mail: alice@corp.example
uidNumber: 5003
gidNumber: 6003
homeDirectory: /home/alice
userPassword: wonderland

dn: cn=lab,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: lab
gidNumber: 7001
memberUid: alice

dn: cn=gpu,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: gpu
gidNumber: 7002
memberUid: alice

`

// TestDirectoryServicePageSteps runs the first six steps of deploy/docs/directory-services.md as they are written there,
// except for the server's address, the password and the paths.
func TestDirectoryServicePageSteps(t *testing.T) {
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: siteWithoutAccount, Database: onlyRead})
	home := filesOfSteps(t, server)
	steps := pages.Steps(t, "directory-services.md")
	require.Len(t, steps, 10)
	here := strings.NewReplacer("ldaps://ldap.example.org", server.LDAPS, "/home/me", home, "the password", "secret").Replace
	shell := func(n int) string { return shellOfStep(t, server, home, here(steps[n].Shell)) }
	assert.Contains(t, shell(1), "dn: uid=alice,ou=people,dc=example,dc=org\nuid: alice\nuidNumber: 5003\ngidNumber: 6003\n")
	assert.Equal(t, "1\n", shell(2))
	assert.Contains(t, shell(3), "gidNumber: 7001")
	assert.Equal(t, 2, strings.Count(shell(4), "Insufficient access"))
	assert.Contains(t, shell(5), "dn:"+webhookDN+"\n")

	require.NoError(t, os.WriteFile(filepath.Join(home, "laptop.yaml"), []byte(here(steps[6].YAML)), 0o600))
	command := strings.Fields(steps[6].Shell)
	require.Equal(t, []string{"jupyter-user-webhook", "check", "ldap", "--config=laptop.yaml", "--user=alice"}, command)
	t.Chdir(home)
	var output bytes.Buffer
	assert.Zero(t, run(t.Context(), command[1:], nil, &output, &output))
	assert.Contains(t, output.String(), "alice has UID 5003 and GID 6003, and is in the groups [7001 7002]")
	assert.Contains(t, output.String(), "0 failed, 0 unknown, 0 warnings, 3 ok")

	for prefix, says := range map[string]string{
		"/":    "the home of alice is home/alice on the share",
		"/hpc": `the home field of alice, "/home/alice", must be below /hpc`,
	} {
		require.NoError(t, os.WriteFile("homes.yaml", []byte(here(steps[6].YAML)+"share: {homePrefix: "+prefix+"}\n"), 0o600))
		output.Reset()
		run(t.Context(), []string{"check", "ldap", "--config=homes.yaml", "--user=alice"}, nil, &output, &output)
		assert.Contains(t, output.String(), says)
	}
}

// filesOfSteps writes the files that the steps of the page use into a new folder, except for the webhook's password, which step 5
// writes.
func filesOfSteps(t *testing.T, server *slapd.Server) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, content := range map[string]string{
		"alice.password": "wonderland", "admin.password": slapd.AdminPassword, "ca.crt": string(server.Authority.Cert),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600))
	}
	return folder
}

// shellOfStep runs a script in a folder, with the LDAP clients of the server's packages, and returns what it prints.
func shellOfStep(t *testing.T, server *slapd.Server, folder, script string) string {
	t.Helper()
	shell := exec.Command("sh", "-c", script)
	shell.Dir = folder
	// In this environment, ldapsearch finds the libraries of its package.
	shell.Env = append(server.Client(t, "ldapsearch").Env, "PATH="+server.Folder()+":"+os.Getenv("PATH"))
	output, _ := shell.CombinedOutput()
	return string(output)
}

// TestDirectoryServicePageOpenServer runs step 4 against a server that lets users write. It changes nothing.
func TestDirectoryServicePageOpenServer(t *testing.T) {
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: site, Database: "access to attrs=userPassword by * auth\naccess to * by users write"})
	search := func() []string {
		return strings.Split(server.Search(t, webhookDN, "secret", "-b", slapd.Suffix), "\n")
	}
	before := search()
	require.Contains(t, before, "memberUid: alice")
	step := strings.ReplaceAll(pages.Steps(t, "directory-services.md")[4].Shell, "ldaps://ldap.example.org", server.LDAPS)
	output := shellOfStep(t, server, filesOfSteps(t, server), step)
	assert.NotContains(t, output, "Insufficient access")
	assert.Contains(t, output, "Type or value exists")
	assert.ElementsMatch(t, before, search(), "the order of attributes can change")
}

// TestCheckLDAPFaults tests the findings about faults of the configuration, the server and the user.
func TestCheckLDAPFaults(t *testing.T) {
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: site, Database: onlyRead})
	const bind = `{method: Simple, dn: "` + webhookDN + `", passwordFile: PASSWORD}`
	for name, c := range map[string]struct{ url, ca, bind, users, groups, user, says string }{
		"name resolution": {url: "ldaps://ldap.invalid", says: "the name of the server cannot be resolved here"},
		"no server there": {url: "ldaps://127.0.0.1:1", says: "no server listens at that address and port"},
		"another host":    {url: server.OtherHost, says: "the certificate is for other names"},
		"no authority":    {ca: "''", says: "put the right one there"},
		"no TLS": {url: "ldaps://" + strings.TrimPrefix(server.LDAP, "ldap://"),
			says: "the server does not speak TLS as it is configured here"},
		"a wrong password": {bind: strings.Replace(bind, "webhook", "alice", 1), says: "the server does not take identity.ldap.bind.dn with the password"},
		"no such base":     {users: `{baseDN: "ou=staff,dc=example,dc=org"}`, says: "identity.ldap.users.baseDN: search below"},
		"no such group base": {groups: `{baseDN: "ou=teams,dc=example,dc=org"}`,
			says: "identity.ldap.groups.baseDN: search below"},
		"no such attribute": {users: `{baseDN: "` + peopleDN + `", uid: employeeNumber}`,
			says: "matches (objectClass=posixAccount) and has employeeNumber: correct identity.ldap.users"},
		"no name attribute": {users: `{baseDN: "` + peopleDN + `", name: displayName}`, says: "has no displayName, or the webhook cannot read it"},
		"no such user":      {user: "bob", says: "bob has no account below"},
		"another case":      {user: "ALICE", says: "names are lower case here"},
		"no --user":         {user: "-", says: "2 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			password := filepath.Join(folder, "password")
			require.NoError(t, os.WriteFile(password, []byte("secret"), 0o600))
			or := func(value, other string) string {
				if value == "" {
					return other
				}
				return value
			}
			configuration := fmt.Sprintf("apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\nidentity:\n  ldap:\n    urls: [%q]\n"+
				"    caFile: %s\n    bind: %s\n    users: %s\n    groups: %s\n", or(c.url, server.LDAPS), or(c.ca, server.CAFile),
				strings.Replace(or(c.bind, bind), "PASSWORD", password, 1), or(c.users, `{baseDN: "`+peopleDN+`"}`),
				or(c.groups, `{baseDN: "ou=groups,dc=example,dc=org"}`))
			file := filepath.Join(folder, "config.yaml")
			require.NoError(t, os.WriteFile(file, []byte(configuration), 0o600))
			arguments := []string{"check", "ldap", "--config=" + file, "-o", "json"}
			if c.user != "-" {
				arguments = append(arguments, "--user="+or(c.user, "alice"))
			}
			if c.user == "-" {
				arguments[4] = "table"
			}
			var output bytes.Buffer
			status := run(t.Context(), arguments, nil, &output, &output)
			assert.Contains(t, output.String(), c.says)
			assert.Equal(t, c.user == "-", status == 0, "%s", output.String())
		})
	}
}

// TestCheckLDAPLimits tests the findings about users whom the webhook denies or gives fewer groups, although the directory service
// knows them, and about the hub names that the directory service maps.
func TestCheckLDAPLimits(t *testing.T) {
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: site, Database: onlyRead})
	for name, c := range map[string]struct {
		identity, users, says string
		status                int
	}{
		"within the limits":   {says: "0 failed, 0 unknown, 0 warnings, 3 ok"},
		"a UID below minUID":  {identity: "minUID: 6000", says: "the user alice cannot run a notebook: UID 5003 is below 6000", status: 1},
		"a GID below minGID":  {identity: "minGID: 6500", says: "the user alice cannot run a notebook: GID 6003 is below 6500", status: 1},
		"too many groups":     {identity: "maxGroups: 1", says: "alice is in more supplementary groups than the 1 that a pod may have", status: 1},
		"groups that are cut": {identity: "maxGroups: 1, tooManyGroups: Cut", says: "gets only the 1 supplementary groups of alice"},
		"a hub name":          {users: ", hubName: mail", says: "hub names are found by mail: alice@corp.example is alice"},
		"no hub name":         {users: ", hubName: employeeNumber", says: "and shows a employeeNumber, so no hub name has a user", status: 1},
	} {
		t.Run(name, func(t *testing.T) {
			separator := ", "
			if c.identity == "" {
				separator = ""
			}
			file := writeTemp(t, "config.yaml", kindLines+"identity: {"+c.identity+separator+"ldap: {urls: ["+server.LDAPS+"], caFile: "+server.CAFile+
				", bind: {method: Simple, dn: \""+webhookDN+"\", passwordFile: "+writeTemp(t, "password", "secret")+"}, users: {baseDN: \""+peopleDN+
				"\""+c.users+"}, groups: {baseDN: \"ou=groups,dc=example,dc=org\"}}}\n")
			var output bytes.Buffer
			assert.Equal(t, c.status, run(t.Context(), []string{"check", "ldap", "--config=" + file, "--user=alice"}, nil, &output, &output))
			assert.Contains(t, strings.Join(strings.Fields(output.String()), " "), c.says)
		})
	}
}

// TestCheckLDAPMembers tests the warning if the webhook finds no group with a member: the bound account may not read the
// members, as an anonymous bind in FreeIPA, or the preset is wrong.
func TestCheckLDAPMembers(t *testing.T) {
	server := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: site, Database: "access to attrs=memberUid by dn.exact=\"" + webhookDN +
		"\" read by * none\n" + onlyRead})
	bound := `{method: Simple, dn: "` + webhookDN + `", passwordFile: ` + writeTemp(t, "password", "secret") + `}`
	const hint = "so users have no supplementary groups: let the account that the webhook binds as read that attribute (FreeIPA shows it to no " +
		"anonymous bind), or correct identity.ldap.preset or identity.ldap.groups"
	for name, c := range map[string]struct{ bind, preset, warning string }{
		"bound account":  {bound, "rfc2307", ""},
		"anonymous bind": {"{}", "rfc2307", "matches (objectClass=posixGroup) and shows a memberUid, " + hint},
		"wrong preset":   {bound, "rfc2307bis", "matches (|(objectClass=posixGroup)(objectClass=ipaUserGroup)) and shows a member, " + hint},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeTemp(t, "config.yaml", kindLines+"identity:\n  ldap:\n    urls: ["+server.LDAPS+"]\n    caFile: "+server.CAFile+
				"\n    bind: "+c.bind+"\n    preset: "+c.preset+"\n    users: {baseDN: \""+peopleDN+"\"}\n"+
				"    groups: {baseDN: \"ou=groups,dc=example,dc=org\"}\n")
			var output bytes.Buffer
			assert.Zero(t, run(t.Context(), []string{"check", "ldap", "--config=" + file, "-o", "json"}, nil, &output, &output))
			if c.warning == "" {
				assert.NotContains(t, output.String(), "warning")
				return
			}
			assert.Contains(t, output.String(), `"status": "warning"`)
			assert.Contains(t, output.String(), c.warning)
		})
	}
}

// TestCheckLDAPWriteRights tests the warning about an attribute that the bound account can write. Active Directory lists
// such attributes in allowedAttributesEffective.
func TestCheckLDAPWriteRights(t *testing.T) {
	server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: `dn: cn=alice,dc=example,dc=org
objectClass: user
cn: alice
sAMAccountName: alice
userAccountControl: 512
uidNumber: 5003
gidNumber: 6003
allowedAttributesEffective: uidNumber
allowedAttributesEffective: description

`})
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\nidentity:\n  ldap:\n    urls: ["+
		server.LDAPS+"]\n    caFile: "+server.CAFile+"\n    preset: ad\n    users: {baseDN: \"dc=example,dc=org\"}\n"), 0o600))
	var output bytes.Buffer
	assert.Zero(t, run(t.Context(), []string{"check", "ldap", "--config=" + file, "-o", "json"}, nil, &output, &output))
	assert.Contains(t, output.String(), "the account that the webhook binds as may write uidNumber of cn=alice,dc=example,dc=org")
}

// TestCheckLDAPHubNameWithoutUser tests the warning about an account whose hub name finds no user: it names the one reason.
func TestCheckLDAPHubNameWithoutUser(t *testing.T) {
	for name, c := range map[string]struct{ control, hubNames, says string }{
		"a disabled account": {"514", "mail: alice@corp.example",
			"has the hub name alice@corp.example, and no user is found by it: the account is disabled"},
		"several hub names": {"512", "mail: alice@corp.example\nmail: a@corp.example",
			"has the hub name alice@corp.example, and no user is found by it (has 2 values of mail in the directory service, and " +
				"must have one)"},
	} {
		t.Run(name, func(t *testing.T) {
			server := slapd.Start(t, slapd.Options{Schema: slapd.AD, LDIF: "dn: cn=alice,dc=example,dc=org\nobjectClass: user\ncn: alice\n" +
				"sAMAccountName: alice\nuserAccountControl: " + c.control + "\nuidNumber: 5003\ngidNumber: 6003\n" + c.hubNames + "\n\n"})
			file := writeTemp(t, "config.yaml", kindLines+"identity: {ldap: {urls: ["+server.LDAPS+"], caFile: "+server.CAFile+
				", preset: ad, users: {baseDN: \"dc=example,dc=org\", hubName: mail}}}\n")
			var output bytes.Buffer
			assert.Zero(t, run(t.Context(), []string{"check", "ldap", "--config=" + file, "-o", "json"}, nil, &output, &output))
			assert.Contains(t, output.String(), c.says)
			assert.NotContains(t, output.String(), "nil")
		})
	}
}
