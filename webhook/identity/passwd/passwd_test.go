package passwd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

var _ webhook.Identities = (*passwd.Source)(nil)

func TestFind(t *testing.T) {
	s, err := newTestFiles(t, users, groups).open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"), "ascending, without the primary group")
	assert.Equal(t, "5004:6004:7002", identityText(t, s, "bob"))
	assert.Empty(t, identityText(t, s, "carol"), "a member of a group is not a user without a line in passwd")
	assert.Empty(t, identityText(t, s, "Alice"))
	id, err := s.Find(t.Context(), user.Name{})
	assert.NoError(t, err)
	assert.Nil(t, id, "an empty name is no user")
}

func TestFindWithoutGroupFile(t *testing.T) {
	p := newTestFiles(t, users, groups)
	p.group = ""
	s, err := p.open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003", identityText(t, s, "alice"))
}

// TestHomeFields tests that home fields are read only if homes come from them, that the first line of a name is used, and that a
// reload replaces the fields.
func TestHomeFields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	home := func(s *passwd.Source, name string) string {
		parsed, _ := user.Parse("", name, config.Default().User)
		id, err := s.FindUncached(t.Context(), parsed)
		require.NoError(t, err)
		require.NotNil(t, id)
		return id.Home
	}
	require.NoError(t, os.WriteFile(path, []byte("root:x:0:0::/root:\nalice:x:5003:6003::/hpc/home/a/alice:/bin/sh\n"+
		"bob:x:5004:6004:::\nalice:x:5003:6003::/hpc/home/b/alice:\ncarol:x:5005:6005::/hpc/home/c/carol:\n"), 0o600))
	with, err := passwd.Open(passwd.Options{Passwd: path, Rules: config.Default().User, Homes: true})
	require.NoError(t, err)
	without, err := passwd.Open(passwd.Options{Passwd: path, Rules: config.Default().User})
	require.NoError(t, err)
	for name, want := range map[string]string{"alice": "/hpc/home/a/alice", "bob": "", "carol": "/hpc/home/c/carol"} {
		assert.Equal(t, want, home(with, name))
		assert.Empty(t, home(without, name))
	}
	require.NoError(t, os.WriteFile(path+".next", []byte("alice:x:5003:6003::/hpc/new/alice:\n"), 0o600))
	require.NoError(t, os.Rename(path+".next", path))
	assert.Equal(t, "/hpc/new/alice", home(with, "alice"))
}

func TestDuplicateMembers(t *testing.T) {
	s, err := newTestFiles(t, users, "a:x:7002:alice,alice,,bob,alice\nb:x:7001:alice\nc:x:7002:alice\na:x:7002:alice\nd:x:6003:alice\n").open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"), "in one line, in two lines of one group, and in two groups of one GID")
}

func TestTwoNamesOfOneUID(t *testing.T) {
	s, err := newTestFiles(t, "alice:x:5003:6003:::\nalice-admin:x:5003:6004:::\n", "a:x:7001:alice-admin\n").open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003", identityText(t, s, "alice"))
	assert.Equal(t, "5003:6004:7001", identityText(t, s, "alice-admin"), "each with the groups of the name")
}

// TestTooLargeNumbers tests that numbers that Kubernetes does not accept are kept. The floor denies them with a better message
// than "no such user".
func TestTooLargeNumbers(t *testing.T) {
	s, err := newTestFiles(t, "highest:x:2147483647:2147483647:::\nuid:x:2147483648:6003:::\ngid:x:5003:4294967295:::\ngroup:x:5003:6003:::\n",
		"g:x:4294967293:group\n").open()
	require.NoError(t, err)
	floor := identity.Floor{MinUID: 1000, MinGID: 1000}
	for name, why := range map[string]string{
		"highest": "",
		"uid":     "UID 2147483648 is over 2147483647, the highest that Kubernetes accepts",
		"gid":     "GID 4294967295 is over 2147483647, the highest that Kubernetes accepts",
		"group":   "GID 4294967293 is over 2147483647, the highest that Kubernetes accepts",
	} {
		id, err := s.Find(t.Context(), named(t, name))
		require.NoError(t, err)
		require.NotNil(t, id, name)
		if err := floor.Check(*id); why != "" {
			assert.EqualError(t, err, why)
		} else {
			assert.NoError(t, err)
		}
	}
}

func TestSkippedLines(t *testing.T) {
	s, err := newTestFiles(t, "\n# by hand,\twith a tab: and J\xf6rg\n+@people::::::\n-mallory::::::\n+\n+::::::\n"+users+
		"nobody:x:65534:65534:::\nnobody:x:99:99:::\npc-7$:x:5005:6005:::\nalice@corp.example:x:1:1:::\nwith space:x:1:1:::\n:x:1:1:::\n"+
		strings.Repeat("x", 33)+":x:1:1:::\n"+users, "# groups\n\n+:::\n"+groups).open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))
	assert.Empty(t, identityText(t, s, "mallory"))
}

func TestInvalidFiles(t *testing.T) {
	const nobody = "passwd: there is nobody in it whom a pod could name"
	for name, c := range map[string]struct{ users, groups, why string }{
		"a shadow file": {"alice:$6$SECRET:19000:0:99999:7:::\n", groups, nobody + ": system accounts, UIDs below 1000 (identity.minUID), names that " +
			"begin with a digit and names with another domain than user.domains are no users here; 1 bad lines are left out, the first is line 1: it has 9 fields"},
		"incomplete line":              {users + "eve:x:5005:60", groups, "passwd: line 4: the last line has no line break: the file is being written, or is incomplete"},
		"last line without line break": {users, strings.TrimSuffix(groups, "\n"), "group: line 4: the last line has no line break"},
		"empty passwd":                 {"", groups, nobody},
		"system accounts only":         {"root:x:0:0:::\nnobody:x:65534:65534:::\n", groups, nobody},
		"accounts of the machine only": {"_chrony:x:101:102:::\nsssd:x:102:103:::\nrtkit:x:113:114:::\n", groups, nobody},
		"comments only":                {"# empty\n", groups, nobody},
		"users of another domain only": {"alice@corp.example:x:5003:6003:::\n", groups, nobody},
		"empty group":                  {users, "", "group: there is no group in it; write at least one line, such as nogroup:x:65534:"},
		"line breaks of Windows": {users, strings.ReplaceAll(groups, "\n", "\r\n"), "group: there is no group in it; write at least one line, " +
			"such as nogroup:x:65534:; 4 bad lines are left out, the first is line 1: it ends with a line break of Windows"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newTestFiles(t, c.users, c.groups).open()
			require.ErrorContains(t, err, c.why)
			assert.NotContains(t, err.Error(), "SECRET")
			assert.Less(t, len(err.Error()), 400)
		})
	}
}

// TestInvalidLine tests files with one bad line: all other lines are used, and log and metric show the bad line.
func TestInvalidLine(t *testing.T) {
	const fields, range32 = "fields with colons between them, and not", "is not a number from 0 to 4294967295"
	for name, c := range map[string]struct {
		inPasswd, inGroup string
		why               string
	}{
		"a missing field":            {"eve:x:5005:6005::/home/eve", "", "it has 6 " + fields + " 7"},
		"a colon in GECOS":           {"eve:x:5005:6005:Eve: of old:/home/eve:/bin/sh", "", "it has 8 " + fields + " 7"},
		"a shadow line":              {"eve:$6$SECRET:19000:0:99999:7:::", "", "it has 9 " + fields + " 7"},
		"one word":                   {"oops", "", "it has 1 " + fields + " 7"},
		"an empty UID":               {"eve:x::6003:::", "", `the UID "" ` + range32},
		"a name as GID":              {"eve:x:5003:users:::", "", `the GID "users" ` + range32},
		"a leading zero":             {"eve:x:05003:6003:::", "", `the UID "05003" ` + range32},
		"two zeros":                  {"eve:x:00:6003:::", "", `the UID "00" ` + range32},
		"a sign":                     {"eve:x:+5003:6003:::", "", `the UID "+5003" ` + range32},
		"a negative UID":             {"eve:x:-2:6003:::", "", `the UID "-2" ` + range32},
		"a space":                    {"eve:x: 5003:6003:::", "", `the UID " 5003" ` + range32},
		"2^32":                       {"eve:x:4294967296:6003:::", "", `the UID "4294967296" ` + range32},
		"a very long number":         {"eve:x:" + strings.Repeat("1", 99) + ":6003:::", "", `the UID "` + strings.Repeat("1", 40) + `…" ` + range32},
		"a missing field of a group": {"", "g:x:7003", "it has 3 " + fields + " 4"},
		"an invalid GID of a group":  {"", "g:x:7e3:alice", `the GID "7e3" ` + range32},
		"a group with two GIDs":      {"", "astro:x:7009:alice", `the group "astro" is there before, with another GID`},
		"a line of Windows":          {"", "g:x:7009:bob,alice\r", "it ends with a line break of Windows, which would be a part of the last member's name"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestFiles(t, users+c.inPasswd+"\nzoe:x:5009:6009:::\n", groups+c.inGroup+"\nlast:x:7010:zoe\n")
			s, err := p.open()
			require.NoError(t, err)
			assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))
			assert.Empty(t, identityText(t, s, "eve"))
			assert.Equal(t, "5009:6009:7010", identityText(t, s, "zoe"), "the lines after the bad line are used")

			file, path, line, bad := "passwd", p.passwd, 4, map[string]float64{"passwd": 1, "group": 0}
			if c.inGroup != "" {
				file, path, line, bad = "group", p.group, 5, map[string]float64{"passwd": 0, "group": 1}
			}
			logged := p.log.Lines(t, "a line of the file is left out")
			require.Len(t, logged, 1, file)
			assert.Equal(t, "WARN", logged[0]["level"])
			assert.Equal(t, path, logged[0]["path"])
			assert.EqualValues(t, line, logged[0]["line"])
			assert.Equal(t, c.why, logged[0]["fault"])
			assert.NotContains(t, fmt.Sprint(logged[0]), "SECRET")
			for file, n := range bad {
				assert.Equal(t, n, p.metric(t, `bad_lines{file="`+file+`"}`), file)
			}
		})
	}
}

// TestManyInvalidLines tests that many bad lines do not fill the log.
func TestManyInvalidLines(t *testing.T) {
	p := newTestFiles(t, users+strings.Repeat("oops\n", 5000), groups)
	s := p.watched(t)
	assert.Len(t, p.log.Lines(t, "a line of the file is left out"), 10)
	more := p.log.Lines(t, "more lines of the file are left out")
	require.Len(t, more, 1)
	assert.EqualValues(t, 4990, more[0]["lines"])
	assert.Equal(t, 5000.0, p.metric(t, `bad_lines{file="passwd"}`))

	write(t, p.passwd, users+strings.Repeat("oops\n", 5000)+"zoe:x:5009:6009:::\n")
	waitForIdentity(t, s, "zoe", "5009:6009")
	assert.Len(t, p.log.Lines(t, "a line of the file is left out"), 10, "the same lines are logged once")
	write(t, p.passwd, users)
	eventually(t, func() bool { return p.metric(t, `bad_lines{file="passwd"}`) == 0 }, "all lines are good")
}

// TestFilesOfRealSites uses output of getent at sites with directory services, from public reports.
func TestFilesOfRealSites(t *testing.T) {
	const root = "root:x:0:0:root:/root:/bin/bash\n"
	for name, c := range map[string]struct {
		passwd, group string
		domain        string
		leadingDigit  bool
		want          map[string]string
	}{
		"Latin-1 in GECOS": {
			passwd: root + "alice:x:5001:6001:Alice A:/home/alice:/bin/bash\nbob:x:5002:6002:Jos\xe9 B:/home/bob:/bin/bash\n",
			want:   map[string]string{"alice": "5001:6001", "bob": "5002:6002"}},
		"control characters and line breaks of Windows in unused fields": {
			passwd: "alice:x:5001:6001:A\tA:/home/alice:/bin/bash\r\nbob:x:5002:6002:\u0085\x00::\r\n",
			want:   map[string]string{"alice": "5001:6001", "bob": "5002:6002"}},
		"local name that is also in LDAP": {
			passwd: root + "alice:x:5001:6001:Alice A:/home/alice:/bin/bash\ntomcat:x:91:91:T:/:/sbin/nologin\ntomcat:x:53053:53053:T:/home/tomcat:/bin/bash\n",
			want:   map[string]string{"alice": "5001:6001", "tomcat": "91:91"}},
		"names with the configured domain": {
			passwd: "alice@corp.example:*:1712401234:1712400513:A:/home/corp.example/alice:/bin/bash\neve@other.example:*:5:5:::\n",
			group:  "staff@corp.example:*:1712400999:bob@corp.example,alice@corp.example\nothers@corp.example:*:1712400998:alice@other.example\n",
			domain: "corp.example",
			want:   map[string]string{"alice": "1712401234:1712400513:1712400999", "eve": ""}},
		"one name with and without the domain": {
			passwd: "alice:x:5001:6001:::\nalice@corp.example:x:5009:6009:::\n", domain: "corp.example",
			want: map[string]string{"alice": "5001:6001"}},
		"numbers as names, allowed": {
			passwd: root + "20231234:x:71234:71234:S:/home/20231234:/bin/bash\n", leadingDigit: true,
			want: map[string]string{"20231234": "71234:71234"}},
		"numbers as names, not allowed": {
			passwd: root + "20231234:x:71234:71234:S:/home/20231234:/bin/bash\nalice:x:5001:6001:::\n",
			want:   map[string]string{"alice": "5001:6001"}},
		"group in several lines, and with two names": {
			passwd: "alice:x:5001:6001:::\nbob:x:5002:6002:::\n",
			group:  "g:x:7001:alice\ng:x:7001:bob\nh:x:7002:alice\nh2:x:7002:bob\n",
			want:   map[string]string{"alice": "5001:6001:7001,7002", "bob": "5002:6002:7001,7002"}},
		"members in Latin-1": {
			passwd: "alice:x:5001:6001:::\n", group: "g:x:7001:j\xf6rg,alice,\u0085\n",
			want: map[string]string{"alice": "5001:6001:7001"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestFiles(t, c.passwd, c.group)
			if c.group == "" {
				p.group = ""
			}
			p.rules.Domains, p.rules.AllowLeadingDigit = []string{c.domain}, c.leadingDigit
			s, err := p.open()
			require.NoError(t, err)
			for user, want := range c.want {
				assert.Equal(t, want, identityText(t, s, user), user)
			}
			assert.Empty(t, p.log.Lines(t, "a line of the file is left out"))
		})
	}
}

func TestUnreadableFiles(t *testing.T) {
	p := newTestFiles(t, users, groups)
	require.NoError(t, os.Remove(p.group))
	_, err := p.open()
	require.ErrorContains(t, err, p.group+": no such file or directory")

	require.NoError(t, syscall.Mkfifo(p.group, 0o600))
	_, err = p.reopen()
	require.ErrorContains(t, err, "group: it is no file", "a pipe is not opened")

	require.NoError(t, os.Remove(p.group))
	require.NoError(t, os.Mkdir(p.group, 0o700))
	_, err = p.reopen()
	require.ErrorContains(t, err, "group: it is no file")

	require.NoError(t, os.Truncate(p.passwd, 16<<20+1))
	_, err = p.reopen()
	require.ErrorContains(t, err, "passwd: it is larger than 16 MiB, which no file of users is")

	_, err = passwd.Open(passwd.Options{})
	require.EqualError(t, err, "no passwd file is named")
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	p := newTestFiles(t, users, groups)
	_, err := p.open()
	require.NoError(t, err)
	_, err = p.open()
	require.ErrorContains(t, err, "register the metrics of passwd")
}

func TestDefaultOptions(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s, err := passwd.Open(passwd.Options{Passwd: p.passwd})
	require.NoError(t, err)
	assert.Equal(t, "5003:6003", identityText(t, s, "alice"))
}

// TestFindReturnsCopy tests that a caller can change the result without changing later results.
func TestFindReturnsCopy(t *testing.T) {
	s, err := newTestFiles(t, users, groups).open()
	require.NoError(t, err)
	id, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	id.UID, id.Groups[0] = 0, 0
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))
}

func TestNumberOfGroups(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 40} {
		text, want := "root:x:0:\n", "5003:6003"
		for i := range n {
			text += fmt.Sprintf("g%d:x:%d:bob,alice\n", i, 7000+i)
			want += []string{":", ","}[min(i, 1)] + fmt.Sprint(7000+i)
		}
		s, err := newTestFiles(t, users, text).open()
		require.NoError(t, err)
		assert.Equal(t, want, identityText(t, s, "alice"), "the source does not limit the groups")
	}
}
