package share

import (
	"context"
	"errors"
	"fmt"
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

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

func named(t *testing.T, text string) user.Name {
	t.Helper()
	name, fault := user.Parse("", text, config.Default().User)
	require.Nil(t, fault)
	return name
}

// folder returns a share with the homes of alice and bob, both owned by the UID of the test.
func folder(t *testing.T) string {
	t.Helper()
	homes := filepath.Join(t.TempDir(), "home")
	for _, name := range []string{"alice", "bob"} {
		require.NoError(t, os.MkdirAll(filepath.Join(homes, name), 0o700))
	}
	return homes
}

// clock is the source's clock, which the test moves.
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

// lastResponse is when the share has last answered, and lastFailure when a lookup last ended without an answer, by the metrics.
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

// counted returns the counted lookups by cache and result.
func counted(t *testing.T, s *Source) map[string]int {
	t.Helper()
	families, err := s.finder.Registry.(*prometheus.Registry).Gather()
	require.NoError(t, err)
	counted := map[string]int{}
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
				counted[labels["cache"]+" "+labels["result"]] = n
			}
		}
	}
	return counted
}

func TestTheOwnerOfTheHome(t *testing.T) {
	homes := folder(t)
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

// TestAShareThatIsGone is no share without homes: an unmounted volume must not make all users unknown.
func TestAShareThatIsGone(t *testing.T) {
	homes := folder(t)
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
	assert.Equal(t, id, again, "the last good answer")
}

func TestAWrongPathIsToldAtStart(t *testing.T) {
	for name, path := range map[string]string{"nothing": "/nowhere", "a file": "/proc/self/status"} {
		_, err := New(t.Context(), Options{Share: path, Home: "home/{user}", Wait: time.Second, Registry: prometheus.NewRegistry()})
		assert.ErrorContains(t, err, "the directory of the homes: ", name)
		assert.ErrorContains(t, err, path, name)
	}
}

func TestAResultIsRememberedForAWhile(t *testing.T) {
	homes := folder(t)
	s, clock := open(t, homes)
	alice, nobody := named(t, "alice"), named(t, "nobody-yet")
	find := func(name user.Name) *identity.Identity {
		id, err := s.Find(t.Context(), name)
		require.NoError(t, err)
		return id
	}
	require.NotNil(t, find(alice))
	require.Nil(t, find(nobody))
	require.NoError(t, os.Remove(filepath.Join(homes, "alice")))
	require.NoError(t, os.Mkdir(filepath.Join(homes, "nobody-yet"), 0o700))
	assert.NotNil(t, find(alice), "not looked at again yet")
	assert.Nil(t, find(nobody))

	clock.pass(3 * time.Second)
	assert.NotNil(t, find(alice), "an owner is remembered for longer than that there is no home")
	assert.NotNil(t, find(nobody))

	clock.pass(30 * time.Second)
	assert.Nil(t, find(alice), "and is not the last good answer: the share has answered")
	assert.Equal(t, map[string]int{"miss found": 2, "miss missing": 2, "hit found": 2, "hit missing": 1}, counted(t, s))
}

// TestFindUncached is asked by the verifier, where another replica says otherwise than what is remembered here.
func TestFindUncached(t *testing.T) {
	homes := folder(t)
	s, _ := open(t, homes)
	bob := named(t, "bob")
	require.NoError(t, os.Remove(filepath.Join(homes, "bob")))
	id, err := s.Find(t.Context(), bob)
	require.NoError(t, err)
	require.Nil(t, id)
	require.NoError(t, os.Mkdir(filepath.Join(homes, "bob"), 0o700))
	id, err = s.FindUncached(t.Context(), bob)
	require.NoError(t, err)
	require.NotNil(t, id)
	again, err := s.Find(t.Context(), bob)
	require.NoError(t, err)
	assert.Equal(t, id, again, "and is remembered instead")
}

// TestAHomeThatIsMountedWhenItIsOpened: the owner is that of the home, and not of the directory below it. Debugfs has the kernel
// mount a file system at the directory tracing when that is opened, as NFS v4 does with a home that is a file system of its own.
func TestAHomeThatIsMountedWhenItIsOpened(t *testing.T) {
	homes := t.TempDir()
	if err := syscall.Mount("debugfs", homes, "debugfs", 0, ""); err != nil {
		t.Skip("no automount without the right to mount debugfs:", err)
	}
	home := filepath.Join(homes, "tracing")
	t.Cleanup(func() {
		_ = syscall.Unmount(home, syscall.MNT_DETACH) // the kernel may have not mounted it
		assert.NoError(t, syscall.Unmount(homes, syscall.MNT_DETACH))
	})
	below, err := os.Lstat(home)
	if err != nil {
		t.Skip("this kernel's debugfs has no automount:", err)
	}
	found, err := stat(home)
	require.NoError(t, err)
	mounted, err := os.Stat(home + "/.")
	require.NoError(t, err)
	require.False(t, os.SameFile(below, mounted), "the test is of an automount")
	assert.True(t, os.SameFile(found, mounted))
}

// stuck blocks each system call until letGo is called.
func stuck(s *Source) (calls *atomic.Int32, letGo func()) {
	calls, gate := &atomic.Int32{}, make(chan struct{})
	s.lstat = func(path string) (fs.FileInfo, error) {
		calls.Add(1)
		<-gate
		return os.Lstat(path)
	}
	return calls, func() { close(gate) }
}

// TestOneUserIsLookedUpOnce for many concurrent callers.
func TestOneUserIsLookedUpOnce(t *testing.T) {
	s, _ := open(t, folder(t))
	s.finder.Wait = 20 * time.Second
	calls, letGo := stuck(s)
	answers := make(chan *identity.Identity)
	for range 64 {
		go func() {
			id, err := s.Find(t.Context(), named(t, "alice"))
			assert.NoError(t, err)
			answers <- id
		}()
	}
	require.Eventually(t, func() bool { return calls.Load() == 1 }, machine.Patience, time.Millisecond)
	letGo()
	for range 64 {
		assert.NotNil(t, <-answers)
	}
	assert.LessOrEqual(t, calls.Load(), int32(2), "those who asked first, and perhaps one who came when that was done")
}

// TestASilentShare: callers wait for a short time, the number of running lookups is limited, cached owners are used, and
// everything works when the share responds again.
func TestASilentShare(t *testing.T) {
	homes := folder(t)
	s, clock := open(t, homes)
	alice, bob := named(t, "alice"), named(t, "bob")
	known, err := s.Find(t.Context(), alice)
	require.NoError(t, err)
	answered := lastResponse(t, s)
	assert.InDelta(t, time.Now().Unix(), answered, 5)
	assert.Zero(t, s.finder.Oldest().Seconds())
	calls, letGo := stuck(s)
	s.finder.Wait = 20 * time.Millisecond
	clock.pass(time.Minute)
	began := time.Now()

	for i := range 3 {
		id, err := s.Find(t.Context(), alice)
		require.NoError(t, err)
		assert.Equal(t, known, id, "the last good answer")
		clock.pass(time.Second)
		assert.Equal(t, int32(1), calls.Load(), "question %d does not ask again what is out", i)
	}
	for i := range 2 * lookups.MaxLookups {
		_, err := s.Find(t.Context(), named(t, fmt.Sprintf("user%d", i)))
		assert.ErrorIs(t, err, lookups.ErrSilent)
	}
	assert.Equal(t, int32(lookups.MaxLookups), calls.Load(), "no more system calls than that are out")
	_, err = s.Find(t.Context(), bob)
	assert.EqualError(t, err, "the share does not answer: 32 questions are out, and no more are asked")
	oldest := s.finder.Oldest()
	assert.GreaterOrEqual(t, oldest, 3*time.Second, "the first question, by the clock")
	assert.LessOrEqual(t, oldest, 3*time.Second+time.Since(began), "and what the questions took")
	assert.Equal(t, 32, s.finder.Out())
	assert.InDelta(t, answered, lastResponse(t, s), 0)
	assert.Zero(t, lastFailure(t, s), "what is still out has not failed")
	_, err = s.Find(t.Context(), named(t, "user0"))
	assert.ErrorContains(t, err, "the share does not answer, for ")

	clock.pass(10 * time.Minute)
	_, err = s.Find(t.Context(), alice)
	assert.ErrorIs(t, err, lookups.ErrSilent, "for a while, and no longer")
	assert.Equal(t, map[string]int{"miss found": 1, "stale found": 3, "miss error": 2*lookups.MaxLookups + 3}, counted(t, s))

	letGo()
	require.Eventually(t, func() bool { return s.finder.Out() == 0 }, machine.Patience, time.Millisecond)
	for _, name := range []user.Name{alice, bob} {
		id, err := s.Find(t.Context(), name)
		require.NoError(t, err)
		assert.NotNil(t, id)
	}
}

// TestOneHomeThatHangs makes the result of other homes stale for one call at most.
func TestOneHomeThatHangs(t *testing.T) {
	homes := folder(t)
	s, clock := open(t, homes)
	alice := named(t, "alice")
	_, err := s.Find(t.Context(), alice)
	require.NoError(t, err)
	gate := make(chan struct{})
	defer close(gate)
	s.lstat = func(path string) (fs.FileInfo, error) {
		if filepath.Base(path) == "hung" {
			<-gate
		}
		return os.Lstat(path)
	}
	s.finder.Wait = 20 * time.Millisecond
	_, err = s.Find(t.Context(), named(t, "hung"))
	require.ErrorIs(t, err, lookups.ErrSilent)
	s.finder.Wait = 10 * time.Second
	require.NoError(t, os.Remove(filepath.Join(homes, "alice")))
	clock.pass(time.Minute)
	require.Eventually(t, func() bool {
		id, err := s.Find(t.Context(), alice)
		return err == nil && id == nil
	}, machine.Patience, time.Millisecond, "that the home is gone is noticed")
}

// TestTheCallersDeadlineCounts if it is shorter.
func TestTheCallersDeadlineCounts(t *testing.T) {
	s, _ := open(t, folder(t))
	s.finder.Wait = time.Hour
	_, letGo := stuck(s)
	defer letGo()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Find(ctx, named(t, "alice"))
	assert.ErrorIs(t, err, lookups.ErrSilent)
}

// TestAFaultIsNoResult: an error of the share is not cached, and hides no home.
func TestAFaultIsNoResult(t *testing.T) {
	for _, fault := range []error{syscall.ESTALE, syscall.EACCES, syscall.EIO, syscall.ENOTCONN} {
		s, _ := open(t, folder(t))
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
		assert.InDelta(t, failed, lastFailure(t, s), 0, "an answer is no failure")
	}
}

// TestMadeUpNamesPushNobodyOut: clients can ask for names that do not exist.
func TestMadeUpNamesPushNobodyOut(t *testing.T) {
	s, _ := open(t, folder(t))
	_, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	for i := range 3 * lookups.MaxMissing {
		_, err := s.Find(t.Context(), named(t, fmt.Sprintf("user%d", i)))
		require.NoError(t, err)
	}
	values, missing := s.finder.Remembered()
	assert.Equal(t, lookups.MaxMissing, missing)
	assert.Equal(t, 1, values)
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	options := Options{Share: filepath.Dir(folder(t)), Home: "home/{user}", MinUID: math.MaxInt32, Wait: time.Second, Registry: registry}
	_, err := New(t.Context(), options)
	require.NoError(t, err)
	_, err = New(t.Context(), options)
	var twice prometheus.AlreadyRegisteredError
	assert.True(t, errors.As(err, &twice))
}

// TestWhoOwnsADirectoryAboveAHome can replace the home, so the home is denied, and a cached owner is not used.
func TestWhoOwnsADirectoryAboveAHome(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give directories to other owners")
	}
	share := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(share, "people/home/a/alice"), 0o755))
	open := func() *Source {
		s, err := New(t.Context(), Options{Share: share, Home: "people/home/{initial}/{user}", MinUID: 1000, Wait: time.Second,
			Fresh: time.Nanosecond, Stale: time.Hour, Registry: prometheus.NewRegistry()})
		require.NoError(t, err)
		return s
	}
	s := open()
	id, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	require.NotNil(t, id)
	missing, err := s.Find(t.Context(), named(t, "zoe"))
	require.NoError(t, err, "there is no directory for the initial, which is no share that is missing")
	assert.Nil(t, missing)

	for _, dir := range []string{"people", "people/home", "people/home/a"} {
		for owner, fine := range map[int]bool{0: true, 999: true, 1000: false, 5001: false, 65534: false} {
			require.NoError(t, os.Chown(filepath.Join(share, dir), owner, 0))
			_, err := s.Find(t.Context(), named(t, "alice"))
			if fine {
				assert.NoError(t, err, "%s of %d", dir, owner)
				continue
			}
			var unusable *identity.Unusable
			require.ErrorAs(t, err, &unusable)
			assert.Equal(t, &identity.BadParent{Dir: dir, Owner: int64(owner)}, unusable.Parent)
		}
		require.NoError(t, os.Chown(filepath.Join(share, dir), 0, 0))
	}
	require.NoError(t, os.Rename(filepath.Join(share, "people/home/a"), filepath.Join(share, "elsewhere")))
	require.NoError(t, os.Symlink("../../elsewhere", filepath.Join(share, "people/home/a")))
	_, err = s.Find(t.Context(), named(t, "alice"))
	assert.EqualError(t, err, "people/home/a, above a home, is a symbolic link")
}
