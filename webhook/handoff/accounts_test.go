package handoff_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

var qiang = handoff.Account{Name: "qiang.guo03", Home: "/home/qiang.guo03", UID: 5003, GID: 6003, Groups: []int64{7001, 6003, 7002}}

func TestPasswd(t *testing.T) {
	got, err := qiang.Passwd()
	require.NoError(t, err)
	assert.Equal(t, `root:x:0:0:root:/root:/bin/sh
qiang.guo03:x:5003:6003:qiang.guo03:/home/qiang.guo03:/bin/bash
jovyan:x:1000:100:jovyan:/home/jovyan:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`, string(got))
}

// TestNamesThatSomeConfigurationsAllow tests that the program in the Pod also accepts names that only some configurations
// allow.
func TestNamesThatSomeConfigurationsAllow(t *testing.T) {
	rules := config.User{MaxLength: 32, AllowUpperCase: true, AllowLeadingDigit: true}
	for _, text := range []string{"alice", "_svc", "Alice", "a.b-c_d", "20201234", "2020-guo", "7", "0x10", "9.lab"} {
		name, denied := user.Parse("", text, rules)
		require.Nil(t, denied, text)
		account := qiang
		account.Name = name.String()
		passwd, err := account.Passwd()
		require.NoError(t, err)
		assert.Contains(t, string(passwd), "\n"+text+":x:5003:6003:")
		owner := handoff.Owner{UID: 5003, GID: 6003, Name: name.String(), HomeInode: 1, HomeDevice: 1}
		parsed, err := handoff.ParseEnv(owner.Env())
		require.NoError(t, err)
		assert.Equal(t, owner, parsed)
	}
}

func TestGroup(t *testing.T) {
	got, err := qiang.Group()
	require.NoError(t, err)
	assert.Equal(t, `root:x:0:
qiang.guo03:x:6003:
gid7001:x:7001:qiang.guo03
gid7002:x:7002:qiang.guo03
users:x:100:
nogroup:x:65534:
`, string(got))

	alone := handoff.Account{Name: "alice", Home: "/home/alice", UID: 5001, GID: 6001}
	got, err = alone.Group()
	require.NoError(t, err)
	assert.Equal(t, "root:x:0:\nalice:x:6001:\nusers:x:100:\nnogroup:x:65534:\n", string(got))
}

// TestPasswdOfUserWithUIDOfJovyan tests that the user's line comes before that of jovyan with the same UID: getpwuid returns the
// first line that has the wanted UID.
func TestPasswdOfUserWithUIDOfJovyan(t *testing.T) {
	got, err := handoff.Account{Name: "alice", Home: "/home/alice", UID: 1000, GID: 100}.Passwd()
	require.NoError(t, err)
	assert.Less(t, bytes.Index(got, []byte("alice:x:1000:100:")), bytes.Index(got, []byte("jovyan:x:1000:100:")))
}

func TestInvalidAccount(t *testing.T) {
	for why, change := range map[string]func(*handoff.Account){
		"no name":                       func(a *handoff.Account) { a.Name = "" },
		"a name with a colon":           func(a *handoff.Account) { a.Name = "alice:x:0:0" },
		"a name with a line break":      func(a *handoff.Account) { a.Name = "alice\ntoor" },
		"a name with a carriage return": func(a *handoff.Account) { a.Name = "alice\r" },
		"a name with a NUL":             func(a *handoff.Account) { a.Name = "alice\x00" },
		"a name with a comma":           func(a *handoff.Account) { a.Name = "alice,bob" },
		"a name with a space":           func(a *handoff.Account) { a.Name = "alice bob" },
		"a name that begins with +":     func(a *handoff.Account) { a.Name = "+" },
		"a name that begins with -":     func(a *handoff.Account) { a.Name = "-alice" },
		"a name that begins with #":     func(a *handoff.Account) { a.Name = "#alice" },
		"a name of invalid UTF-8":       func(a *handoff.Account) { a.Name = "alice\xff" },
		"no home":                       func(a *handoff.Account) { a.Home = "" },
		"a home with a colon":           func(a *handoff.Account) { a.Home = "/home/a:/bin/sh" },
		"a home with a line break":      func(a *handoff.Account) { a.Home = "/home/a\ntoor:x:0:0:::" },
		"a home with an escape":         func(a *handoff.Account) { a.Home = "/home/\x1b[2J" },
		"a home with a C1 control":      func(a *handoff.Account) { a.Home = "/home/\u0085" },
		"a home of invalid UTF-8":       func(a *handoff.Account) { a.Home = "/home/\xff" },
	} {
		t.Run(why, func(t *testing.T) {
			account := qiang
			change(&account)
			passwd, err := account.Passwd()
			assert.Error(t, err)
			assert.Empty(t, passwd)
			group, err := account.Group()
			assert.Error(t, err)
			assert.Empty(t, group)
		})
	}
}

func TestPasswdHomes(t *testing.T) {
	for _, home := range []string{"/home/alice", "/srv/home dirs/alice", "/a,b/alice", "/größe/alice", "/$HOME/alice"} {
		account := qiang
		account.Home = home
		passwd, err := account.Passwd()
		require.NoError(t, err)
		assert.Contains(t, string(passwd), ":qiang.guo03:"+home+":/bin/bash\n")
	}
}
