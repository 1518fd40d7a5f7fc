package share

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// blockLstat blocks each lstat of the source until unblock is called, and counts the calls.
func blockLstat(s *Source) (calls *atomic.Int32, unblock func()) {
	calls, gate := &atomic.Int32{}, make(chan struct{})
	s.lstat = func(path string) (fs.FileInfo, error) {
		calls.Add(1)
		<-gate
		return os.Lstat(path)
	}
	return calls, func() { close(gate) }
}

// TestConcurrentCallersShareLookup tests that 64 callers that wait for the same user share one lookup.
func TestConcurrentCallersShareLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := open(t, makeHomes(t))
		calls, unblock := blockLstat(s)
		results := make(chan *identity.Identity)
		for range 64 {
			go func() {
				id, err := s.Find(t.Context(), named(t, "alice"))
				assert.NoError(t, err)
				results <- id
			}()
		}
		synctest.Wait()
		assert.Equal(t, int32(1), calls.Load(), "the lookup is in its first lstat, and all callers wait for it")
		unblock()
		for range 64 {
			assert.NotNil(t, <-results)
		}
		assert.Equal(t, int32(2), calls.Load(), "one lookup: an lstat of the directory above the home, and one of the home")
	})
}

// TestUnresponsiveShare tests that callers wait only for a short time, that the number of running lookups is limited,
// that cached owners are used, and that homes are found when the share responds again.
func TestUnresponsiveShare(t *testing.T) {
	homes := makeHomes(t)
	s, clock := open(t, homes)
	alice, bob := named(t, "alice"), named(t, "bob")
	known, err := s.Find(t.Context(), alice)
	require.NoError(t, err)
	answered := lastResponse(t, s)
	assert.InDelta(t, time.Now().Unix(), answered, 5)
	assert.Zero(t, s.finder.Oldest().Seconds())
	calls, unblock := blockLstat(s)
	s.finder.Wait = 20 * time.Millisecond
	clock.pass(time.Minute)
	began := time.Now()

	for i := range 3 {
		id, err := s.Find(t.Context(), alice)
		require.NoError(t, err)
		assert.Equal(t, known, id, "the last good result")
		clock.pass(time.Second)
		assert.Equal(t, int32(1), calls.Load(), "lookup %d joins the running lookup", i)
	}
	for i := range 2 * lookups.MaxLookups {
		_, err := s.Find(t.Context(), named(t, fmt.Sprintf("user%d", i)))
		assert.ErrorIs(t, err, lookups.ErrSilent)
	}
	assert.Equal(t, int32(lookups.MaxLookups), calls.Load(), "no more system calls are running")
	_, err = s.Find(t.Context(), bob)
	assert.EqualError(t, err, "the share does not respond: 32 lookups are running, and no more are started")
	oldest := s.finder.Oldest()
	assert.GreaterOrEqual(t, oldest, 3*time.Second, "the age of the first lookup, by the clock")
	assert.LessOrEqual(t, oldest, 3*time.Second+time.Since(began), "and the time that the lookups took")
	assert.Equal(t, 32, s.finder.Running())
	assert.InDelta(t, answered, lastResponse(t, s), 0)
	assert.Zero(t, lastFailure(t, s), "a running lookup has not failed")
	_, err = s.Find(t.Context(), named(t, "user0"))
	assert.ErrorContains(t, err, "the share does not respond, for ")

	clock.pass(10 * time.Minute)
	_, err = s.Find(t.Context(), alice)
	assert.ErrorIs(t, err, lookups.ErrSilent, "a stale result is used for a limited time")
	assert.Equal(t, map[string]int{"miss found": 1, "stale found": 3, "miss error": 2*lookups.MaxLookups + 3}, lookupCounts(t, s))

	unblock()
	require.Eventually(t, func() bool { return s.finder.Running() == 0 }, machine.Patience, time.Millisecond)
	s.finder.Wait = machine.Patience
	for _, name := range []user.Name{alice, bob} {
		id, err := s.Find(t.Context(), name)
		require.NoError(t, err)
		assert.NotNil(t, id)
	}
}

// TestManyUsersAtOnce looks up three times as many new users as lookups may run at the same time. All users are found: a
// lookup waits until another one ends. Two callers of one user share the lookup, also while it waits.
func TestManyUsersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		homes := makeHomes(t)
		s, _ := open(t, homes)
		gate, running, looked := make(chan struct{}), atomic.Int32{}, atomic.Int32{}
		s.lstat = func(path string) (fs.FileInfo, error) {
			running.Add(1)
			<-gate
			if strings.HasPrefix(filepath.Base(path), "user") {
				looked.Add(1)
			}
			return os.Lstat(path)
		}
		const users = 3 * lookups.MaxLookups
		for i := range users {
			require.NoError(t, os.Mkdir(filepath.Join(homes, fmt.Sprintf("user%d", i)), 0o700))
		}
		var callers sync.WaitGroup
		for i := range 2 * users {
			callers.Go(func() {
				id, err := s.Find(t.Context(), named(t, fmt.Sprintf("user%d", i%users)))
				assert.NoError(t, err)
				assert.NotNil(t, id)
			})
		}
		synctest.Wait()
		assert.Equal(t, int32(lookups.MaxLookups), running.Load(), "no more lookups run")
		assert.Equal(t, lookups.MaxLookups, s.finder.Running())
		close(gate)
		callers.Wait()
		assert.Equal(t, int32(users), looked.Load(), "a lookup for each user")
		assert.Zero(t, s.finder.Running())
	})
}

// TestHangOfOneHome tests that, while the lookup of one home hangs, a new result for another home is used soon.
func TestHangOfOneHome(t *testing.T) {
	homes := makeHomes(t)
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
	}, machine.Patience, time.Millisecond, "the removed home is unknown")
}

// TestDeadlineOfCaller tests that a caller stops waiting when its own context ends before Wait.
func TestDeadlineOfCaller(t *testing.T) {
	s, _ := open(t, makeHomes(t))
	s.finder.Wait = time.Hour
	_, unblock := blockLstat(s)
	defer unblock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Find(ctx, named(t, "alice"))
	assert.ErrorIs(t, err, lookups.ErrSilent)
}
