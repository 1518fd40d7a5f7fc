package passwd_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

var _ webhook.Identities = (*passwd.Source)(nil)

func TestPeopleAndTheirGroups(t *testing.T) {
	s, err := newPlace(t, people, groups).open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003:7001,7002", who(t, s, "alice"), "ascending, without the primary group")
	assert.Equal(t, "5004:6004:7002", who(t, s, "bob"))
	assert.Empty(t, who(t, s, "carol"), "to be a member makes nobody a user")
	assert.Empty(t, who(t, s, "Alice"))
	id, err := s.Find(t.Context(), user.Name{})
	assert.NoError(t, err)
	assert.Nil(t, id, "no name is nobody's")
}

func TestAloneAPasswdGivesNoGroups(t *testing.T) {
	p := newPlace(t, people, groups)
	p.group = ""
	s, err := p.open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003", who(t, s, "alice"))
}

func TestMembersAreCountedOnce(t *testing.T) {
	s, err := newPlace(t, people, "a:x:7002:alice,alice,,bob,alice\nb:x:7001:alice\nc:x:7002:alice\na:x:7002:alice\nd:x:6003:alice\n").open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003:7001,7002", who(t, s, "alice"), "in one line, in two of one group, and in two groups of one number")
}

func TestOneUIDUnderTwoNames(t *testing.T) {
	s, err := newPlace(t, "alice:x:5003:6003:::\nalice-admin:x:5003:6004:::\n", "a:x:7001:alice-admin\n").open()
	require.NoError(t, err)
	assert.Equal(t, "5003:6003", who(t, s, "alice"))
	assert.Equal(t, "5003:6004:7001", who(t, s, "alice-admin"), "each with the groups of the name")
}

// TestNumbersBeyondKubernetes are kept: the floor has a sentence for them, and nobody would be one for "no such user".
func TestNumbersBeyondKubernetes(t *testing.T) {
	s, err := newPlace(t, "highest:x:2147483647:2147483647:::\nuid:x:2147483648:6003:::\ngid:x:5003:4294967295:::\ngroup:x:5003:6003:::\n",
		"g:x:4294967293:group\n").open()
	require.NoError(t, err)
	floor := identity.Floor{MinUID: 1000, MinGID: 1000}
	for name, why := range map[string]string{
		"highest": "",
		"uid":     "UID 2147483648 is over 2147483647, the highest that Kubernetes takes",
		"gid":     "GID 4294967295 is over 2147483647, the highest that Kubernetes takes",
		"group":   "GID 4294967293 is over 2147483647, the highest that Kubernetes takes",
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

func TestWhatIsSkipped(t *testing.T) {
	s, err := newPlace(t, "\n# by hand,\twith a tab: and J\xf6rg\n+@people::::::\n-mallory::::::\n+\n+::::::\n"+people+
		"nobody:x:65534:65534:::\nnobody:x:99:99:::\npc-7$:x:5005:6005:::\nalice@corp.example:x:1:1:::\nwith space:x:1:1:::\n:x:1:1:::\n"+
		strings.Repeat("x", 33)+":x:1:1:::\n"+people, "# groups\n\n+:::\n"+groups).open()
	require.NoError(t, err, "nor does a line matter that is there twice with the same numbers, or an account that is no user's")
	assert.Equal(t, "5003:6003:7001,7002", who(t, s, "alice"))
	assert.Empty(t, who(t, s, "mallory"))
}

func TestWhatIsBroken(t *testing.T) {
	const fields = "fields with colons between them, and not"
	for name, c := range map[string]struct{ people, groups, why string }{
		"a field too few":        {people + "eve:x:5005:6005::/home/eve\n", groups, "passwd: line 4: it has 6 " + fields + " 7"},
		"a shadow file":          {"alice:$6$SECRET:19000:0:99999:7:::\n", groups, "passwd: line 1: it has 9 " + fields + " 7"},
		"no fields":              {people + "oops\n", groups, "passwd: line 4: it has 1 " + fields + " 7"},
		"a group's field":        {people, groups + "g:x:7003\n", "group: line 5: it has 3 " + fields + " 4"},
		"a UID missing":          {"alice:x::6003:::\n", groups, `passwd: line 1: the UID "" is not a number from 0 to 4294967295`},
		"a name for a GID":       {"alice:x:5003:users:::\n", groups, `passwd: line 1: the GID "users" is not a number from 0 to 4294967295`},
		"a leading zero":         {"alice:x:05003:6003:::\n", groups, `passwd: line 1: the UID "05003" is not a number from 0 to 4294967295`},
		"two zeros":              {"alice:x:00:6003:::\n", groups, `passwd: line 1: the UID "00" is not a number from 0 to 4294967295`},
		"a sign":                 {"alice:x:+5003:6003:::\n", groups, `passwd: line 1: the UID "+5003" is not a number from 0 to 4294967295`},
		"less than nothing":      {"alice:x:-2:6003:::\n", groups, `passwd: line 1: the UID "-2" is not a number from 0 to 4294967295`},
		"a space":                {"alice:x: 5003:6003:::\n", groups, `passwd: line 1: the UID " 5003" is not a number from 0 to 4294967295`},
		"2^32":                   {"alice:x:4294967296:6003:::\n", groups, `passwd: line 1: the UID "4294967296" is not a number from 0 to 4294967295`},
		"a GID of a group":       {people, "g:x:7e3:alice\n", `group: line 1: the GID "7e3" is not a number from 0 to 4294967295`},
		"a very long number":     {"alice:x:" + strings.Repeat("1", 99) + ":6003:::\n", groups, `the UID "` + strings.Repeat("1", 40) + `…" is not`},
		"a user with two UIDs":   {people + "alice:x:5005:6003:::\n", groups, `passwd: line 4: "alice" is there a second time, with another UID or GID`},
		"a user with two GIDs":   {people + "alice:x:5003:6004:::\n", groups, `passwd: line 4: "alice" is there a second time, with another UID or GID`},
		"a group with two GIDs":  {people, groups + "astro:x:7009:\n", `group: line 5: the group "astro" is there a second time, with another GID`},
		"a name in Latin-1":      {"alice:x:5003:6003:J\xf6rg::\n", groups, "passwd: line 1: it is no UTF-8"},
		"line breaks of Windows": {"alice:x:5003:6003:::\r\n", groups, "passwd: line 1: there is a control character in it (U+000D)"},
		"a NUL":                  {people, "g:x:7001:ali\x00ce\n", "group: line 1: there is a control character in it (U+0000)"},
		"a control of Unicode":   {"alice:x:5003:6003:\u0085::\n", groups, "passwd: line 1: there is a control character in it (U+0085)"},
		"half a line":            {people + "eve:x:5005:60", groups, "passwd: line 4: the last line has no end: the file is being written, or was cut short"},
		"all but the line break": {people, strings.TrimSuffix(groups, "\n"), "group: line 4: the last line has no end"},
		"nothing":                {"", groups, "passwd: there is nobody in it whom a pod could name"},
		"system accounts alone":  {"root:x:0:0:::\nnobody:x:65534:65534:::\n", groups, "passwd: there is nobody in it whom a pod could name"},
		"comments alone":         {"# empty\n", groups, "passwd: there is nobody in it whom a pod could name"},
		"no group at all":        {people, "", "group: there is no group in it; leave the file out where nobody has supplementary groups"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newPlace(t, c.people, c.groups).open()
			require.ErrorContains(t, err, c.why)
			assert.NotContains(t, err.Error(), "SECRET")
			assert.Less(t, len(err.Error()), 300)
		})
	}
}

func TestWhatIsNoFile(t *testing.T) {
	p := newPlace(t, people, groups)
	require.NoError(t, os.Remove(p.group))
	_, err := p.open()
	require.ErrorContains(t, err, p.group+": no such file or directory")

	require.NoError(t, syscall.Mkfifo(p.group, 0o600))
	_, err = p.reopen()
	require.ErrorContains(t, err, "group: it is no file", "nobody waits for who writes into a pipe")

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
	p := newPlace(t, people, groups)
	_, err := p.open()
	require.NoError(t, err)
	_, err = p.open()
	require.ErrorContains(t, err, "register the metrics of passwd")
}

func TestEveryOptionHasItsDefault(t *testing.T) {
	p := newPlace(t, people, groups)
	s, err := passwd.Open(passwd.Options{Passwd: p.passwd})
	require.NoError(t, err)
	assert.Equal(t, "5003:6003", who(t, s, "alice"))
}

// TestAnIdentityIsTheAskersOwn: whoever changes what was found changes nobody else's.
func TestAnIdentityIsTheAskersOwn(t *testing.T) {
	s, err := newPlace(t, people, groups).open()
	require.NoError(t, err)
	id, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	id.UID, id.Groups[0] = 0, 0
	assert.Equal(t, "5003:6003:7001,7002", who(t, s, "alice"))
}

func TestEveryNumberOfGroups(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 40} {
		text, want := "root:x:0:\n", "5003:6003"
		for i := range n {
			text += fmt.Sprintf("g%d:x:%d:bob,alice\n", i, 7000+i)
			want += []string{":", ","}[min(i, 1)] + fmt.Sprint(7000+i)
		}
		s, err := newPlace(t, people, text).open()
		require.NoError(t, err)
		assert.Equal(t, want, who(t, s, "alice"), "how many a pod may have is not for the source to say")
	}
}
