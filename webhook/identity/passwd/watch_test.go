package passwd_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
)

const movedUsers = "alice:x:9003:6003:::\nbob:x:5004:6004:::\n"

func TestWatchChanges(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s := p.watched(t)
	write(t, p.passwd, movedUsers)
	waitForIdentity(t, s, "alice", "9003:6003:7001,7002")
	write(t, p.group, "g:x:7009:alice\n")
	waitForIdentity(t, s, "alice", "9003:6003:7009")
	assert.Empty(t, p.log.Lines(t, broken))
	require.NoError(t, os.WriteFile(p.passwd, []byte(users), 0o644), "in place, where it is empty for a moment")
	waitForIdentity(t, s, "alice", "5003:6003:7009")
}

const (
	broken = "passwd is broken, what was read before stays in use"
	whole  = "passwd is whole again"
)

// loggedFault waits for n log lines about broken files, and returns the last.
func (p testFiles) loggedFault(t *testing.T, n int) map[string]any {
	t.Helper()
	eventually(t, func() bool { return len(p.log.Lines(t, broken)) >= n }, "line %d", n)
	lines := p.log.Lines(t, broken)
	require.Len(t, lines, n)
	assert.Equal(t, "ERROR", lines[n-1]["level"])
	return lines[n-1]
}

func TestInvalidFileLater(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s := p.watched(t)

	write(t, p.group, "g:x:7009:alice,bob\n"+"h:x:7010:al")
	write(t, p.passwd, movedUsers)
	line := p.loggedFault(t, 1)
	assert.Equal(t, p.group, line["path"])
	assert.EqualValues(t, 2, line["line"])
	assert.Equal(t, "the last line has no line break: the file is being written, or is incomplete", line["fault"])
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"), "both users are unchanged")
	assert.Equal(t, 1.0, p.metric(t, `reloads_total{result="broken"}`))
	assert.Equal(t, 1.0, p.metric(t, "broken"))

	write(t, p.passwd, "")
	line = p.loggedFault(t, 2)
	assert.Equal(t, p.passwd, line["path"])
	assert.NotContains(t, line, "line")
	write(t, p.passwd, movedUsers)
	p.loggedFault(t, 3)
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))

	write(t, p.group, "g:x:7009:alice\n")
	waitForIdentity(t, s, "alice", "9003:6003:7009")
	eventually(t, func() bool { return len(p.log.Lines(t, whole)) == 1 }, "the log says that the files are good again")
	assert.Equal(t, 0.0, p.metric(t, "broken"))
	assert.Equal(t, 3.0, p.metric(t, `reloads_total{result="broken"}`))
}

// waitForChecks waits for n more checks of the files. A check of unchanged files is not visible, so each check gets a new file.
func (p testFiles) waitForChecks(t *testing.T, n int) {
	t.Helper()
	for range n {
		previous := p.metric(t, `reloads_total{result="loaded"}`)
		write(t, p.passwd, users)
		eventually(t, func() bool { return p.metric(t, `reloads_total{result="loaded"}`) > previous }, "another check")
	}
}

func TestInvalidFileIsLoggedOnce(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s, err := p.open()
	require.NoError(t, err)
	write(t, p.passwd, "oops\n")
	watching, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Watch(watching) }()
	p.loggedFault(t, 1)
	for range 3 { // a new file each time, with the same fault
		write(t, p.passwd, "oops\n")
		_, err := s.FindUncached(t.Context(), named(t, "alice"))
		require.NoError(t, err)
	}
	p.loggedFault(t, 1)
	stop()
	require.NoError(t, <-ended)
	p.loggedFault(t, 1)
	assert.Equal(t, 1.0, p.metric(t, `reloads_total{result="broken"}`))
}

func TestUnchangedFileIsReadOnce(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s, err := p.open()
	require.NoError(t, err)
	for range 50 {
		_, err := s.FindUncached(t.Context(), named(t, "alice"))
		require.NoError(t, err)
	}
	assert.Equal(t, 1.0, p.metric(t, `reloads_total{result="loaded"}`))
	assert.Len(t, p.log.Lines(t, "passwd read"), 1)
}

// TestIncompleteFile tests a file that a sidecar writes in place: while the file is incomplete, users keep their identities.
func TestIncompleteFile(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s := p.watched(t)
	file, err := os.OpenFile(p.passwd, os.O_WRONLY|os.O_TRUNC, 0)
	require.NoError(t, err)
	p.loggedFault(t, 1)
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))
	_, err = file.WriteString("bob:x:1234:1234:::\nalice:x:1234:12")
	require.NoError(t, err)
	line := p.loggedFault(t, 2)
	assert.EqualValues(t, 2, line["line"])
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"), "no user gets half of a GID")
	assert.Equal(t, "5004:6004:7002", identityText(t, s, "bob"), "the complete half of the file is not used either")
	_, err = file.WriteString("34:::\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	waitForIdentity(t, s, "alice", "1234:1234:7001,7002")
	waitForIdentity(t, s, "bob", "1234:1234:7002")
}

func TestDeletedFile(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s := p.watched(t)
	require.NoError(t, os.Remove(p.passwd))
	assert.Equal(t, "open "+p.passwd+": no such file or directory", p.loggedFault(t, 1)["fault"])
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))
	assert.Equal(t, 1.0, p.metric(t, "broken"))
	write(t, p.passwd, users)
	eventually(t, func() bool { return len(p.log.Lines(t, whole)) == 1 }, "the fault is gone")

	require.NoError(t, os.Remove(p.group))
	assert.Equal(t, "open "+p.group+": no such file or directory", p.loggedFault(t, 2)["fault"])
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))
}

// mounted is a directory as the kubelet mounts a ConfigMap: passwd -> ..data/passwd, ..data -> the directory of a version.
type mounted struct {
	dir      string
	versions int
}

func mount(t *testing.T, users, groups string) (*mounted, testFiles) {
	t.Helper()
	m := &mounted{dir: t.TempDir()}
	m.swap(t, users, groups)
	for _, name := range []string{"passwd", "group"} {
		require.NoError(t, os.Symlink("..data/"+name, filepath.Join(m.dir, name)))
	}
	p := newTestFiles(t, users, groups)
	p.passwd, p.group = filepath.Join(m.dir, "passwd"), filepath.Join(m.dir, "group")
	return m, p
}

func (m *mounted) swap(t *testing.T, users, groups string) {
	t.Helper()
	before, _ := os.Readlink(filepath.Join(m.dir, "..data"))
	m.versions++
	version := fmt.Sprintf("..2026_%d", m.versions)
	require.NoError(t, os.Mkdir(filepath.Join(m.dir, version), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, version, "passwd"), []byte(users), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, version, "group"), []byte(groups), 0o644))
	require.NoError(t, os.Symlink(version, filepath.Join(m.dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
	if before != "" {
		require.NoError(t, os.RemoveAll(filepath.Join(m.dir, before)))
	}
}

func TestConfigMapUpdate(t *testing.T) {
	m, p := mount(t, users, groups)
	s := p.watched(t)
	m.swap(t, movedUsers, "g:x:7009:alice\n")
	waitForIdentity(t, s, "alice", "9003:6003:7009")
	m.swap(t, strings.ReplaceAll(movedUsers, "9003", "9004"), "g:x:7010:alice\n")
	waitForIdentity(t, s, "alice", "9004:6003:7010")
	m.swap(t, "broken\n", "g:x:7010:alice\n")
	p.loggedFault(t, 1)
	assert.Equal(t, "9004:6003:7010", identityText(t, s, "alice"))
}

// TestConcurrentFinds tests that callers get one version of the two files during reloads. The UID and the group of a version are
// the same number.
func TestConcurrentFinds(t *testing.T) {
	version := func(n int) (string, string) {
		return fmt.Sprintf("alice:x:%d:6003:::\n", 5000+n), fmt.Sprintf("g:x:%d:alice\n", 5000+n)
	}
	m, p := mount(t, "alice:x:5000:6003:::\n", "g:x:5000:alice\n")
	s := p.watched(t)
	finding, stop := context.WithCancel(t.Context())
	defer stop()
	alice := named(t, "alice")
	var finders sync.WaitGroup
	for i := range 8 {
		finders.Go(func() {
			for last := int64(0); finding.Err() == nil; {
				find := s.Find
				if i%4 == 0 {
					find = s.FindUncached
				}
				id, err := find(t.Context(), alice)
				if !assert.NoError(t, err) || !assert.NotNil(t, id) || !assert.Equal(t, []int64{id.UID}, id.Groups) ||
					!assert.GreaterOrEqual(t, id.UID, last, "a later version") {
					return
				}
				last = id.UID
			}
		})
	}
	for n := range 50 {
		users, groups := version(n)
		m.swap(t, users, groups)
		if n%10 == 0 {
			waitForIdentity(t, s, "alice", fmt.Sprintf("%d:6003:%d", 5000+n, 5000+n))
		}
	}
	waitForIdentity(t, s, "alice", "5049:6003:5049")
	stop()
	finders.Wait()
}

func TestFindUncached(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s, err := p.open()
	require.NoError(t, err)
	findUncached := func() *identity.Identity {
		id, err := s.FindUncached(t.Context(), named(t, "alice"))
		require.NoError(t, err)
		return id
	}
	write(t, p.passwd, movedUsers)
	assert.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"), "Watch does not run")
	assert.Equal(t, "9003:6003:7001,7002", findUncached().String())
	write(t, p.passwd, "oops\n")
	assert.Equal(t, "9003:6003:7001,7002", findUncached().String())
	write(t, p.passwd, "bob:x:5004:6004:::\n")
	assert.Nil(t, findUncached(), "a removed user is unknown")
	assert.Empty(t, p.log.Lines(t, broken), "only Watch logs a fault that lasts")
}

// TestShortFault tests that a short fault is not logged, because a file that is written in place is broken for a moment.
func TestShortFault(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s, err := p.open()
	require.NoError(t, err)
	write(t, p.passwd, "oops\n")
	_, err = s.FindUncached(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	write(t, p.passwd, users)
	ended := make(chan error)
	go func() { ended <- s.Watch(t.Context()) }()
	t.Cleanup(func() { require.NoError(t, <-ended) })
	p.waitForChecks(t, 5)
	assert.Empty(t, p.log.Lines(t, broken))
	assert.Empty(t, p.log.Lines(t, whole))
}

func TestMetrics(t *testing.T) {
	p := newTestFiles(t, users, groups)
	_, err := p.open()
	require.NoError(t, err)
	_, text, _ := strings.Cut(p.metrics(t), "source=\"passwd\"} 0\n# HELP jupyter_user_passwd_")
	text = regexp.MustCompile(`1\.\d+e\+09`).ReplaceAllString("# HELP jupyter_user_passwd_"+text, "NOW")
	assert.Equal(t, `# HELP jupyter_user_passwd_bad_lines Lines of the files in use (passwd, group) that cannot be read and are left out. The log has the first of them.
# TYPE jupyter_user_passwd_bad_lines gauge
jupyter_user_passwd_bad_lines{file="group"} 0
jupyter_user_passwd_bad_lines{file="passwd"} 0
# HELP jupyter_user_passwd_broken 1 while the passwd and group files are broken or gone, and what was read before is in use; otherwise 0.
# TYPE jupyter_user_passwd_broken gauge
jupyter_user_passwd_broken 0
# HELP jupyter_user_passwd_last_load_timestamp_seconds When the passwd and group files in use were read.
# TYPE jupyter_user_passwd_last_load_timestamp_seconds gauge
jupyter_user_passwd_last_load_timestamp_seconds NOW
# HELP jupyter_user_passwd_modified_timestamp_seconds When the files in use (passwd, group) were last written, by their own times: what writes them was at work then.
# TYPE jupyter_user_passwd_modified_timestamp_seconds gauge
jupyter_user_passwd_modified_timestamp_seconds{file="group"} NOW
jupyter_user_passwd_modified_timestamp_seconds{file="passwd"} NOW
# HELP jupyter_user_passwd_reloads_total How often the passwd and group files were read, by result: loaded, or broken, where what was read before stays in use. A broken pair counts once.
# TYPE jupyter_user_passwd_reloads_total counter
jupyter_user_passwd_reloads_total{result="broken"} 0
jupyter_user_passwd_reloads_total{result="loaded"} 1
# HELP jupyter_user_passwd_users Users in the passwd file whom a pod can name.
# TYPE jupyter_user_passwd_users gauge
jupyter_user_passwd_users 2
`, text)
}

func TestLookupMetrics(t *testing.T) {
	p := newTestFiles(t, users, groups)
	s, err := p.open()
	require.NoError(t, err)
	for _, name := range []string{"alice", "alice", "nobody-here"} {
		_, err := s.Find(t.Context(), named(t, name))
		require.NoError(t, err)
	}
	_, err = s.FindUncached(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	for _, line := range []string{
		`jupyter_user_identity_lookups_total{cache="hit",result="found",source="passwd"} 2`,
		`jupyter_user_identity_lookups_total{cache="hit",result="missing",source="passwd"} 1`,
		`jupyter_user_identity_lookups_total{cache="miss",result="found",source="passwd"} 1`,
		`jupyter_user_identity_lookup_duration_seconds_count{source="passwd"} 1`,
	} {
		assert.Contains(t, p.metrics(t), line+"\n")
	}
}

func (p testFiles) metrics(t *testing.T) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return recorder.Body.String()
}

func (p testFiles) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, rest, found := strings.Cut(p.metrics(t), "\njupyter_user_passwd_"+name+" ")
	require.True(t, found, name)
	var value float64
	_, err := fmt.Sscan(rest, &value)
	require.NoError(t, err)
	return value
}

// TestChangeWithOldTime tests a changed file with the previous size and mtime, as after cp -p.
func TestChangeWithOldTime(t *testing.T) {
	p := newTestFiles(t, users, groups)
	old := time.Unix(1, 0)
	require.NoError(t, os.Chtimes(p.passwd, old, old))
	s := p.watched(t)
	require.Equal(t, "5003:6003:7001,7002", identityText(t, s, "alice"))
	write(t, p.passwd, strings.Replace(users, ":5003:", ":5005:", 1))
	require.NoError(t, os.Chtimes(p.passwd, old, old))
	waitForIdentity(t, s, "alice", "5005:6003:7001,7002")
}

// TestFilesOfOneVersion switches a symbolic link between two pairs of files. No user must get the UID of one pair and the groups
// of the other.
func TestFilesOfOneVersion(t *testing.T) {
	dir := t.TempDir()
	for version, uid := range map[string]string{"a": "5001", "b": "5002"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "passwd"), "alice:x:"+uid+":6000:::\n"+strings.Repeat("bob:x:7:7:::\n", 2000))
		write(t, filepath.Join(dir, version, "group"), "g:x:"+uid+":alice\n")
	}
	switchTo := func(version string) {
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "next")))
		require.NoError(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")))
	}
	switchTo("a")
	s, err := passwd.Open(passwd.Options{
		Passwd: filepath.Join(dir, "current", "passwd"), Group: filepath.Join(dir, "current", "group"),
	})
	require.NoError(t, err)
	for i := range 300 {
		switched := make(chan struct{})
		go func() {
			defer close(switched)
			switchTo("b")
			switchTo("a")
			if i%2 == 0 {
				switchTo("b")
			}
		}()
		_, err := s.FindUncached(t.Context(), named(t, "alice"))
		<-switched
		require.NoError(t, err)
		assert.Contains(t, []string{"5001:6000:5001", "5002:6000:5002"}, identityText(t, s, "alice"))
	}
}
