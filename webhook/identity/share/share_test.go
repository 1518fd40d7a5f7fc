package share

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

func named(t *testing.T, text string) user.Name {
	t.Helper()
	name, fault := user.Parse("", text, config.Default().User)
	require.Nil(t, fault)
	return name
}

// makeHomes returns the directory of the homes on a share. It has the homes of alice and bob.
func makeHomes(t *testing.T) string {
	t.Helper()
	homes := filepath.Join(t.TempDir(), "home")
	for _, name := range []string{"alice", "bob"} {
		require.NoError(t, os.MkdirAll(filepath.Join(homes, name), 0o700))
	}
	return homes
}

// clock is a clock that the test can set forward.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

func (c *clock) pass(d time.Duration) { c.offset.Add(int64(d)) }

func open(t *testing.T, homes string) (*Source, *clock) {
	t.Helper()
	s, err := New(t.Context(), Options{
		Share: filepath.Dir(homes), Home: "home/{user}", MinUID: math.MaxInt32,
		Wait: 10 * time.Second, Fresh: 30 * time.Second, FreshMissing: 2 * time.Second, Stale: 10 * time.Minute,
		Registry: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	c := &clock{}
	s.finder.Now = c.now
	return s, c
}

func lastResponse(t *testing.T, s *Source) float64 {
	t.Helper()
	return gauge(t, s, "jupyter_user_share_last_answer_timestamp_seconds")
}

func lastFailure(t *testing.T, s *Source) float64 {
	t.Helper()
	return gauge(t, s, "jupyter_user_share_last_failure_timestamp_seconds")
}

func gauge(t *testing.T, s *Source, name string) float64 {
	t.Helper()
	families, err := s.finder.Registry.(*prometheus.Registry).Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no such metric")
	return 0
}

// lookupCounts returns the numbers of lookups by cache and result.
func lookupCounts(t *testing.T, s *Source) map[string]int {
	t.Helper()
	families, err := s.finder.Registry.(*prometheus.Registry).Gather()
	require.NoError(t, err)
	counts := map[string]int{}
	for _, family := range families {
		if family.GetName() != "jupyter_user_identity_lookups_total" {
			continue
		}
		for _, series := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range series.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			require.Equal(t, "share", labels["source"])
			if n := int(series.GetCounter().GetValue()); n > 0 {
				counts[labels["cache"]+" "+labels["result"]] = n
			}
		}
	}
	return counts
}

func TestFindOwnerOfHome(t *testing.T) {
	homes := makeHomes(t)
	require.NoError(t, os.Symlink("alice", filepath.Join(homes, "link")))
	require.NoError(t, os.WriteFile(filepath.Join(homes, "file"), nil, 0o600))
	s, _ := open(t, homes)
	id, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	assert.Equal(t, &identity.Identity{UID: int64(os.Getuid()), GID: int64(os.Getgid())}, id)
	for _, name := range []string{"nobody-here", "link", "file"} {
		id, err := s.Find(t.Context(), named(t, name))
		require.NoError(t, err, name)
		assert.Nil(t, id, "%s is nobody's home", name)
	}
}

// TestFindOnUnmountedShare tests that users do not become unknown if the share is not mounted.
func TestFindOnUnmountedShare(t *testing.T) {
	homes := makeHomes(t)
	s, clock := open(t, homes)
	require.NoError(t, os.Rename(homes, homes+"-elsewhere"))
	_, err := s.Find(t.Context(), named(t, "alice"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.Rename(homes+"-elsewhere", homes))
	id, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	require.NotNil(t, id)
	require.NoError(t, os.Rename(homes, homes+"-elsewhere"))
	clock.pass(time.Minute)
	again, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	assert.Equal(t, id, again, "the last good result")
}

func TestNewWithWrongPath(t *testing.T) {
	for name, path := range map[string]string{"missing directory": "/nowhere", "file": "/proc/self/status"} {
		_, err := New(t.Context(), Options{Share: path, Home: "home/{user}", Wait: time.Second, Registry: prometheus.NewRegistry()})
		assert.ErrorContains(t, err, "the directory of the homes: ", name)
		assert.ErrorContains(t, err, path, name)
	}
}

// TestStatMountsHome tests that stat returns the home, and not its mount point. When the directory "tracing" of debugfs is
// opened, the kernel mounts a file system there. NFS v4 does the same for a home that is a file system of its own.
func TestStatMountsHome(t *testing.T) {
	homes := t.TempDir()
	if err := syscall.Mount("debugfs", homes, "debugfs", 0, ""); err != nil {
		t.Skip("no automount without the right to mount debugfs:", err)
	}
	home := filepath.Join(homes, "tracing")
	t.Cleanup(func() {
		_ = syscall.Unmount(home, syscall.MNT_DETACH) // an error is possible: perhaps the kernel has not mounted it
		assert.NoError(t, syscall.Unmount(homes, syscall.MNT_DETACH))
	})
	mountPoint, err := os.Lstat(home)
	if err != nil {
		t.Skip("this kernel's debugfs has no automount:", err)
	}
	found, err := stat(home)
	require.NoError(t, err)
	mounted, err := os.Stat(home + "/.")
	require.NoError(t, err)
	require.False(t, os.SameFile(mountPoint, mounted), "the test is of an automount")
	assert.True(t, os.SameFile(found, mounted))
}

// TestErrorsAreNotCached tests that an error of the share does not hide a home from later lookups.
func TestErrorsAreNotCached(t *testing.T) {
	for _, fault := range []error{syscall.ESTALE, syscall.EACCES, syscall.EIO, syscall.ENOTCONN} {
		s, _ := open(t, makeHomes(t))
		assert.Zero(t, lastFailure(t, s))
		lstat := s.lstat
		s.lstat = func(string) (fs.FileInfo, error) { return nil, fault }
		_, err := s.Find(t.Context(), named(t, "alice"))
		assert.ErrorIs(t, err, fault)
		failed := lastFailure(t, s)
		assert.GreaterOrEqual(t, failed, lastResponse(t, s))
		s.lstat = lstat
		id, err := s.Find(t.Context(), named(t, "alice"))
		require.NoError(t, err)
		assert.NotNil(t, id)
		assert.InDelta(t, failed, lastFailure(t, s), 0, "a result is no failure")
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	options := Options{Share: filepath.Dir(makeHomes(t)), Home: "home/{user}", MinUID: math.MaxInt32, Wait: time.Second, Registry: registry}
	_, err := New(t.Context(), options)
	require.NoError(t, err)
	_, err = New(t.Context(), options)
	var registered prometheus.AlreadyRegisteredError
	assert.True(t, errors.As(err, &registered))
}

// TestOwnerOfDirectoryAboveHome tests that a home below a directory of a user is unusable, because that user can replace the
// home. A cached owner is not used.
func TestOwnerOfDirectoryAboveHome(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give directories to other owners")
	}
	share := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(share, "people/home/a/alice"), 0o755))
	open := func(minUID int64) *Source {
		s, err := New(t.Context(), Options{Share: share, Home: "people/home/{initial}/{user}", MinUID: minUID, Wait: time.Second,
			Fresh: time.Nanosecond, Stale: time.Hour, Registry: prometheus.NewRegistry()})
		require.NoError(t, err)
		return s
	}
	s, higher := open(1000), open(500_000)
	id, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	require.NotNil(t, id)
	missing, err := s.Find(t.Context(), named(t, "zoe"))
	require.NoError(t, err, "there is no directory for the initial, which is no share that is missing")
	assert.Nil(t, missing)

	for _, dir := range []string{"people", "people/home", "people/home/a"} {
		for owner, usable := range map[int]bool{0: true, 999: true, 1000: false, 5001: false, 65534: false} {
			require.NoError(t, os.Chown(filepath.Join(share, dir), owner, 0))
			_, err := s.Find(t.Context(), named(t, "alice"))
			if usable {
				assert.NoError(t, err, "%s of %d", dir, owner)
				continue
			}
			var unusable *identity.Unusable
			require.ErrorAs(t, err, &unusable)
			assert.Equal(t, &identity.BadParent{Dir: dir, Owner: int64(owner)}, unusable.Parent)
		}
		for owner, usable := range map[int]bool{499_999: true, 500_000: false, 65534: false, 4294967294: false} {
			require.NoError(t, os.Chown(filepath.Join(share, dir), owner, 0))
			_, err := higher.Find(t.Context(), named(t, "alice"))
			assert.Equal(t, usable, err == nil, "%s of %d: %v", dir, owner, err)
		}
		require.NoError(t, os.Chown(filepath.Join(share, dir), 0, 0))
	}
	for mode, usable := range map[fs.FileMode]bool{0o755: true, 0o711: true, 0o775: false, 0o757: false, 0o777 | fs.ModeSticky: true} {
		require.NoError(t, os.Chown(filepath.Join(share, "people"), 0, 50))
		require.NoError(t, os.Chmod(filepath.Join(share, "people"), mode))
		_, err := s.Find(t.Context(), named(t, "alice"))
		assert.Equal(t, usable, err == nil, "%s: %v", mode, err)
	}
	require.NoError(t, os.Chown(filepath.Join(share, "people"), 0, 0))
	require.NoError(t, os.Chmod(filepath.Join(share, "people"), 0o775))
	_, err = s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err, "the group is root's")
	require.NoError(t, os.Chmod(filepath.Join(share, "people"), 0o777))
	_, err = s.Find(t.Context(), named(t, "alice"))
	require.EqualError(t, err, "others than root may write in people, above a home (mode 0777)")
	require.NoError(t, os.Chmod(filepath.Join(share, "people"), 0o755))
	require.NoError(t, os.Rename(filepath.Join(share, "people/home/a"), filepath.Join(share, "elsewhere")))
	require.NoError(t, os.Symlink("../../elsewhere", filepath.Join(share, "people/home/a")))
	_, err = s.Find(t.Context(), named(t, "alice"))
	assert.EqualError(t, err, "people/home/a, above a home, is a symbolic link")
}
