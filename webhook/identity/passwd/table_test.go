package passwd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// anyName are lenient rules for names.
var anyName = fileRules(config.User{})

// manyUsers writes the files of 100,000 users, each in 5 of 500 groups, and returns their paths. The UIDs begin at uids.
func manyUsers(t testing.TB, uids int) (passwd, group string) {
	t.Helper()
	const many, kinds, each = 100_000, 500, 5
	var users, groups strings.Builder
	members := make([][]string, kinds)
	for i := range many {
		name := fmt.Sprintf("person.name%06d", i)
		fmt.Fprintf(&users, "%s:*:%d:%d:Person Name %d,Institute of Things:/home/%s:/bin/bash\n", name, uids+i, 6000+i%100, i, name)
		for j := range each {
			g := (i*7 + j*101) % kinds
			members[g] = append(members[g], name)
		}
	}
	for g, names := range members {
		fmt.Fprintf(&groups, "group%d:*:%d:%s\n", g, 7000+g, strings.Join(names, ","))
	}
	dir := t.TempDir()
	passwd, group = filepath.Join(dir, "passwd"), filepath.Join(dir, "group")
	require.NoError(t, os.WriteFile(passwd, []byte(users.String()), 0o644))
	require.NoError(t, os.WriteFile(group, []byte(groups.String()), 0o644))
	return passwd, group
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // frees what finalizers have released
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMemoryOf100000Users(t *testing.T) {
	passwd, group := manyUsers(t, 100_000)
	before := heap()
	s, err := Open(Options{Passwd: passwd, Group: group, Homes: true})
	require.NoError(t, err)
	one := heap() - before

	old := s.users.Load()
	other, _ := manyUsers(t, 300_000)
	require.NoError(t, os.Rename(other, passwd))
	name, _ := user.Parse("", "person.name099999", anyName)
	id, err := s.FindUncached(t.Context(), name)
	require.NoError(t, err)
	assert.Equal(t, "399999:6099:7094,7195,7296,7397,7493", id.String())
	assert.Equal(t, "/home/person.name099999", id.Home)
	both := heap() - before
	assert.Equal(t, "199999:6099:7094,7195,7296,7397,7493", old.find("person.name099999").String(), "the previous table is unchanged")
	runtime.KeepAlive(s)

	t.Logf("one generation %.1f MiB, two %.1f MiB", float64(one)/(1<<20), float64(both)/(1<<20))
	assert.Less(t, both, uint64(32<<20), "both tables together: the whole process may have 64 MiB")
}

func BenchmarkLoad(b *testing.B) {
	passwd, group := manyUsers(b, 100_000)
	f := files{passwd: passwd, group: group}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := f.read(&table{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	passwd, group := manyUsers(b, 100_000)
	s, err := Open(Options{Passwd: passwd, Group: group})
	require.NoError(b, err)
	var names []user.Name
	for i := 0; i < 100_000; i += 7 {
		name, _ := user.Parse("", fmt.Sprintf("person.name%06d", i), anyName)
		names = append(names, name)
	}
	for name, find := range map[string]func(context.Context, user.Name) error{
		"Find":         func(ctx context.Context, n user.Name) error { _, err := s.Find(ctx, n); return err },
		"FindUncached": func(ctx context.Context, n user.Name) error { _, err := s.FindUncached(ctx, n); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := find(b.Context(), names[i%len(names)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestReadHangs tests that callers wait for a hanging read only until their context ends. The files can be on a share.
func TestReadHangs(t *testing.T) {
	passwd := filepath.Join(t.TempDir(), "passwd")
	require.NoError(t, os.WriteFile(passwd, []byte("alice:x:5003:6003:::\n"), 0o644))
	s, err := Open(Options{Passwd: passwd})
	require.NoError(t, err)
	alice, _ := user.Parse("", "alice", anyName)

	ctx, cancel := context.WithCancel(t.Context())
	hanging, results := make(chan struct{}), make(chan error)
	go func() {
		results <- s.withLock(ctx, func() {
			cancel() // the deadline comes after the check has begun
			<-hanging
		})
	}()
	require.ErrorIs(t, <-results, context.Canceled)
	_, err = s.FindUncached(ctx, alice)
	require.ErrorIs(t, err, context.Canceled, "there is no second check while one hangs")
	assert.Contains(t, err.Error(), passwd)
	_, err = s.Find(ctx, alice)
	require.NoError(t, err, "the table is still used")

	close(hanging)
	id, err := s.FindUncached(t.Context(), alice)
	require.NoError(t, err)
	assert.Equal(t, "5003:6003", id.String())
}

// endless is a reader without an end, like a file that grows while it is read.
type endless string

func (e endless) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestGrowingFile(t *testing.T) {
	line := "#" + strings.Repeat("x", 998) + "\n"
	users := newTable(&table{}, files{})
	require.EqualError(t, users.readPasswd("passwd", endless(line)), "passwd: it is larger than 16 MiB, which no file of users is")
	require.EqualError(t, users.readGroup("group", endless(line[:999])), "group: it is larger than 16 MiB, which no file of users is")
}

func TestReadError(t *testing.T) {
	users := newTable(&table{}, files{})
	err := users.readPasswd("passwd", io.MultiReader(strings.NewReader("alice:x:1:1:::\n"), failing{}))
	require.EqualError(t, err, "read passwd: input/output error")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("input/output error") }

// FuzzFiles tests that all users who are read from accepted files have valid names. It also tests that the users are the same after the
// table is written as files and read again.
func FuzzFiles(f *testing.F) {
	for _, seed := range [][2]string{
		{"alice:x:5003:6003:::\nbob:x:5004:6004:::\n", "g:x:7001:alice,bob\nh:x:7002:alice\n"},
		{"alice:x:4294967295:0:::\n", "g:x:4294967295:alice,alice,\n"},
		{"#\n\n+::::::\nalice:x:1:2:::\nalice:x:1:2:::\n", "+:::\ng:x:1:alice\ng:x:1:alice\n"},
		{"alice:x:01:2:::\n", "g:x:1:"}, {"root:x:0:0:::\n", ""}, {"a:b\n", ":::\n"}, {"al\xffice:x:1:2:::\n", "g\r:x:1:\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	name := regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9._-]{0,31}\z`)
	f.Fuzz(func(t *testing.T, passwd, group string) {
		first, err := read(passwd, group)
		if err != nil {
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, first.accounts)
		require.True(t, strings.HasSuffix(passwd, "\n") && strings.HasSuffix(group, "\n"))
		for user := range first.index {
			assert.Regexp(t, name, user)
		}
		again, err := read(first.written())
		require.NoError(t, err)
		require.Len(t, again.accounts, len(first.accounts))
		for user := range first.index {
			assert.Equal(t, first.find(user), again.find(user))
		}
	})
}

func read(passwd, group string) (*table, error) {
	t := newTable(&table{}, files{})
	if err := t.readPasswd("passwd", strings.NewReader(passwd)); err != nil {
		return nil, err
	}
	return t, t.readGroup("group", strings.NewReader(group))
}

// written returns the table as getent prints it, with groups named by their numbers.
func (t *table) written() (passwd, group string) {
	var users, groups strings.Builder
	members := map[int64][]string{0: nil}
	for _, name := range slices.Sorted(maps.Keys(t.index)) {
		id := t.find(name)
		fmt.Fprintf(&users, "%s:x:%d:%d:::\n", name, id.UID, id.GID)
		for _, gid := range id.Groups {
			members[gid] = append(members[gid], name)
		}
	}
	for _, gid := range slices.SortedFunc(maps.Keys(members), cmp.Compare[int64]) {
		fmt.Fprintf(&groups, "g%d:x:%d:%s\n", gid, gid, strings.Join(members[gid], ","))
	}
	return users.String(), groups.String()
}
