package passwd_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

const (
	users = "root:x:0:0:root:/root:/bin/bash\n" +
		"alice:x:5003:6003:Alice Smith,,,:/home/alice:/bin/bash\n" +
		"bob:*:5004:6004::/home/bob:/usr/sbin/nologin\n"
	groups = "root:x:0:\n" +
		"alice:x:6003:\n" +
		"physics:*:7002:alice,bob\n" +
		"astro:x:7001:carol,alice\n"
)

// testFiles has a passwd and a group file, and the log, the metrics and the name rules of a Source that reads them.
type testFiles struct {
	passwd, group string
	log           *journal.Journal
	registry      *prometheus.Registry
	rules         config.User
}

func newTestFiles(t testing.TB, users, groups string) testFiles {
	t.Helper()
	dir := t.TempDir()
	p := testFiles{
		passwd: filepath.Join(dir, "passwd"), group: filepath.Join(dir, "group"), log: &journal.Journal{}, registry: prometheus.NewRegistry(),
	}
	write(t, p.passwd, users)
	write(t, p.group, groups)
	return p
}

// write writes a temporary file and renames it, as a sidecar should.
func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o644))
	require.NoError(t, os.Rename(path+".new", path))
}

func (p testFiles) open() (*passwd.Source, error) {
	return passwd.Open(passwd.Options{
		Passwd: p.passwd, Group: p.group, Rules: p.rules, MinUID: 1000, Every: time.Millisecond,
		Log: slog.New(slog.NewJSONHandler(p.log, nil)), Registry: p.registry,
	})
}

// reopen opens a new source of the same files. It needs a new registry, because metrics can be registered only once.
func (p testFiles) reopen() (*passwd.Source, error) {
	p.registry = prometheus.NewRegistry()
	return p.open()
}

// watched returns a source that checks the files every millisecond, until the test ends.
func (p testFiles) watched(t testing.TB) *passwd.Source {
	t.Helper()
	s, err := p.open()
	require.NoError(t, err)
	ended := make(chan error)
	go func() { ended <- s.Watch(t.Context()) }()
	t.Cleanup(func() { require.NoError(t, <-ended) })
	return s
}

func named(t testing.TB, name string) user.Name {
	t.Helper()
	n, denied := user.Parse("", name, config.User{AllowUpperCase: true, AllowLeadingDigit: true, MaxLength: 32})
	require.Nil(t, denied)
	return n
}

// identityText returns a user's identity as text; empty if the user is unknown.
func identityText(t testing.TB, s *passwd.Source, name string) string {
	t.Helper()
	id, err := s.Find(t.Context(), named(t, name))
	require.NoError(t, err)
	if id == nil {
		return ""
	}
	return id.String()
}

// waitForIdentity waits until a user has the wanted identity.
func waitForIdentity(t testing.TB, s *passwd.Source, name, want string) {
	t.Helper()
	eventually(t, func() bool { return identityText(t, s, name) == want }, "%s becomes %s", name, want)
}

func eventually(t testing.TB, condition func() bool, message string, args ...any) {
	t.Helper()
	require.Eventuallyf(t, condition, machine.Patience, time.Millisecond, message, args...)
}
