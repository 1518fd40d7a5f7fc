package homes

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestLockThatIsNeverReleased tests that a run goes on without the lock after lockPatience.
func TestLockThatIsNeverReleased(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the root of a share belongs to root")
	}
	patience := lockPatience
	lockPatience = time.Millisecond
	t.Cleanup(func() { lockPatience = patience })
	folder := t.TempDir()
	require.NoError(t, os.Chmod(folder, 0o755))
	held, err := os.Open(folder)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, held.Close()) })
	require.NoError(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))

	var lines []string
	s, err := openShare(t.Context(), Options{Share: folder, Say: func(_ Outcome, line string) { lines = append(lines, line) }})
	require.NoError(t, err)
	assert.Equal(t, []string{"another run holds the lock of this share: this run waits until it ends",
		"the other run has not ended after 1ms: this run continues beside it"}, lines)
	require.NoError(t, unix.Flock(int(held.Fd()), unix.LOCK_UN))
	s.close()
}
