package handoff_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

const uidGidEnv = "USER_UID=5003\nUSER_GID=6003\nUSER_NAME=qiang.guo03\nUSER_HOME_INODE=1311768467463790320\nUSER_HOME_DEVICE=64769\n"

func TestFileNames(t *testing.T) {
	assert.Equal(t, "uid-gid.env", handoff.EnvFile)
	assert.Equal(t, "passwd", handoff.PasswdFile)
	assert.Equal(t, "group", handoff.GroupFile)
	assert.Equal(t, "jupyter-user-init", handoff.Binary)
	assert.Equal(t, "jupyter-user-init", handoff.Container)
}

func TestEnv(t *testing.T) {
	owner := handoff.Owner{UID: 5003, GID: 6003, Name: "qiang.guo03", HomeInode: 1311768467463790320, HomeDevice: 64769}
	assert.Equal(t, uidGidEnv, string(owner.Env()))

	got, err := handoff.ParseEnv([]byte(uidGidEnv))
	require.NoError(t, err)
	assert.Equal(t, owner, got)
}

func TestEnvOfLargestNumbers(t *testing.T) {
	for _, owner := range []handoff.Owner{
		{UID: 2147483647, GID: 2147483647, Name: "a", HomeInode: math.MaxUint64, HomeDevice: math.MaxUint64},
		{Name: "_", HomeInode: 0},
	} {
		got, err := handoff.ParseEnv(owner.Env())
		require.NoError(t, err)
		assert.Equal(t, owner, got)
	}
}

func TestParseEnvInAnyOrder(t *testing.T) {
	got, err := handoff.ParseEnv([]byte("USER_HOME_DEVICE=4\nUSER_NAME=a\nUSER_HOME_INODE=1\nUSER_GID=3\nUSER_UID=2\n"))
	require.NoError(t, err)
	assert.Equal(t, handoff.Owner{UID: 2, GID: 3, Name: "a", HomeInode: 1, HomeDevice: 4}, got)
}

// TestParseEnvOfIncompleteFile tests files that lack bytes at the beginning or the end, or end in zero bytes: the init
// container can be killed while it writes, or the disk can be full.
func TestParseEnvOfIncompleteFile(t *testing.T) {
	for n := range len(uidGidEnv) {
		_, err := handoff.ParseEnv([]byte(uidGidEnv[:n]))
		assert.Error(t, err, "the first %d bytes", n)
	}
	for n := 1; n <= len(uidGidEnv); n++ {
		_, err := handoff.ParseEnv([]byte(uidGidEnv[n:]))
		assert.Error(t, err, "all but the first %d bytes", n)
		_, err = handoff.ParseEnv(append([]byte(uidGidEnv[:len(uidGidEnv)-n]), make([]byte, n)...))
		assert.Error(t, err, "the last %d bytes are zero", n)
	}
}

func TestParseEnvErrors(t *testing.T) {
	const uid, gid, name, device = "USER_UID=5003\n", "USER_GID=6003\n", "USER_NAME=alice\n", "USER_HOME_DEVICE=1\n"
	const inode = "USER_HOME_INODE=1\n" + device
	for why, text := range map[string]string{
		"a line twice":                    uid + uid + gid + name + inode,
		"a second UID":                    uid + gid + name + inode + "USER_UID=0\n",
		"a second UID before the first":   "USER_UID=0\n" + uid + gid + name + inode,
		"an unknown line at the end":      uid + gid + name + inode + "LD_PRELOAD=/home/alice/x.so\n",
		"an unknown first line":           "PATH=/home/alice\n" + uid + gid + name + inode,
		"a line of the example's script":  uid + gid + name + inode + "export NB_USER=alice\n",
		"an export":                       "export " + uid + gid + name + inode,
		"a comment":                       "# found\n" + uid + gid + name + inode,
		"an empty line":                   uid + "\n" + gid + name + inode,
		"an empty last line":              uid + gid + name + inode + "\n",
		"no end of line":                  uid + gid + name + "USER_HOME_INODE=1\nUSER_HOME_DEVICE=1",
		"CRLF":                            strings.ReplaceAll(uid+gid+name+inode, "\n", "\r\n"),
		"one CR":                          uid + gid + "USER_NAME=alice\r\n" + inode,
		"CR for LF":                       strings.ReplaceAll(uid+gid+name+inode, "\n", "\r"),
		"a byte order mark":               "\ufeff" + uid + gid + name + inode,
		"a NUL":                           uid + gid + "USER_NAME=alice\x00\n" + inode,
		"a NUL at the end":                uid + gid + name + inode + "\x00",
		"a leading zero":                  "USER_UID=05003\n" + gid + name + inode,
		"a plus":                          "USER_UID=+5003\n" + gid + name + inode,
		"a minus":                         "USER_UID=-1\n" + gid + name + inode,
		"hexadecimal":                     "USER_UID=0x10\n" + gid + name + inode,
		"a space after the =":             "USER_UID= 5003\n" + gid + name + inode,
		"a space before the =":            "USER_UID =5003\n" + gid + name + inode,
		"a space at the end":              "USER_UID=5003 \n" + gid + name + inode,
		"quotes":                          "USER_UID=\"5003\"\n" + gid + name + inode,
		"two numbers":                     "USER_UID=5003=0\n" + gid + name + inode,
		"a command":                       "USER_UID=$(id -u)\n" + gid + name + inode,
		"an empty value":                  "USER_UID=\n" + gid + name + inode,
		"no =":                            "USER_UID\n" + gid + name + inode,
		"no variable name":                "=5003\n" + gid + name + inode,
		"a variable in lower case":        "user_uid=5003\n" + gid + name + inode,
		"2^31":                            "USER_UID=2147483648\n" + gid + name + inode,
		"2^32, which setuid reduces to 0": "USER_UID=4294967296\n" + gid + name + inode,
		"2^32-1, which changes nothing":   "USER_UID=4294967295\n" + gid + name + inode,
		"2^31 as a GID":                   uid + "USER_GID=2147483648\n" + name + inode,
		"no user":                         uid + gid + "USER_NAME=\n" + inode,
		"a user with a colon":             uid + gid + "USER_NAME=alice:0\n" + inode,
		"a user ..":                       uid + gid + "USER_NAME=..\n" + inode,
		"a path as user":                  uid + gid + "USER_NAME=../bob\n" + inode,
		"a user with a space":             uid + gid + "USER_NAME=alice bob\n" + inode,
		"a user of another script":        uid + gid + "USER_NAME=\u0430lice\n" + inode,
		"a word as inode":                 uid + gid + name + "USER_HOME_INODE=x\n" + device,
		"an inode with a leading zero":    uid + gid + name + "USER_HOME_INODE=01\n" + device,
		"a negative inode":                uid + gid + name + "USER_HOME_INODE=-1\n" + device,
		"an inode with a plus":            uid + gid + name + "USER_HOME_INODE=+1\n" + device,
		"an inode of 2^64":                uid + gid + name + "USER_HOME_INODE=18446744073709551616\n" + device,
		"no inode":                        uid + gid + name + device,
		"no device":                       uid + gid + name + "USER_HOME_INODE=1\n",
		"a device with a leading zero":    uid + gid + name + "USER_HOME_INODE=1\nUSER_HOME_DEVICE=01\n",
		"a word as device":                uid + gid + name + "USER_HOME_INODE=1\nUSER_HOME_DEVICE=x\n",
		"line breaks only":                "\n\n\n\n",
		"an ELF header":                   "\x7fELF\x02\x01\x01\n",
	} {
		t.Run(why, func(t *testing.T) {
			got, err := handoff.ParseEnv([]byte(text))
			require.Error(t, err)
			assert.Equal(t, handoff.Owner{}, got, "a wrong file gives no owner")
		})
	}
}

// TestEnvOfInvalidName tests that ParseEnv rejects the file of an owner with an invalid name. For example, a name with a
// line break must not result in a file with another UID.
func TestEnvOfInvalidName(t *testing.T) {
	for _, name := range []string{
		"a\nUSER_UID=0", "a\nUSER_HOME_INODE=1", "a\n", "\n", "", "a\r", "a=b\n=c", "a\nUSER_NAME=b", "a\x00",
	} {
		_, err := handoff.ParseEnv(handoff.Owner{UID: 5003, GID: 6003, Name: name, HomeInode: 7}.Env())
		assert.Error(t, err, "%q", name)
	}
}

func FuzzParseEnv(f *testing.F) {
	for _, seed := range []string{
		uidGidEnv, uidGidEnv[:40], "", "\n", strings.ReplaceAll(uidGidEnv, "\n", "\r\n"), uidGidEnv + "USER_UID=0\n",
		"USER_HOME_DEVICE=4\nUSER_NAME=a\nUSER_HOME_INODE=1\nUSER_GID=3\nUSER_UID=2\n", strings.Replace(uidGidEnv, "=5", "=05", 1),
	} {
		f.Add([]byte(seed), "alice", int64(5003), uint64(1))
	}
	f.Fuzz(func(t *testing.T, file []byte, name string, id int64, inode uint64) {
		if got, err := handoff.ParseEnv(file); err == nil {
			assert.Equal(t, 5, strings.Count(string(file), "\n"))
			assert.Len(t, got.Env(), len(file), "the same five lines, in any order")
			again, err := handoff.ParseEnv(got.Env())
			require.NoError(t, err)
			assert.Equal(t, got, again)
			assert.Regexp(t, `\A[A-Za-z0-9_][A-Za-z0-9._-]*\z`, got.Name)
		}
		owner := handoff.Owner{UID: id, GID: id, Name: name, HomeInode: inode}
		if got, err := handoff.ParseEnv(owner.Env()); err == nil {
			assert.Equal(t, owner, got, "each name is read as it was written")
		}
	})
}
