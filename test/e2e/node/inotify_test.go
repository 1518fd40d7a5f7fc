package node

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestANodeWaitsForInotifyInstances tests that a node waits for instances that other programs have, and reports what is missing
// if they are not freed. Taking all instances of the machine would end other programs, so the test fakes the kernel's error.
func TestANodeWaitsForInotifyInstances(t *testing.T) {
	var free, out atomic.Int64
	free.Store(watchers - 1)
	take := func() (int, error) {
		if out.Load() == free.Load() {
			out.Store(0)
			return -1, syscall.EMFILE
		}
		out.Add(1)
		return syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	}
	_, err := reserveWatchers(t.Context(), io.Discard, 2*watchersInterval, take)
	assert.ErrorContains(t, err, "a node needs 24 inotify instances, and other programs of this machine have nearly all of root's ")
	assert.ErrorContains(t, err, "sysctl fs.inotify.max_user_instances=512")

	time.AfterFunc(watchersInterval/2, func() { free.Store(watchers) })
	release, err := reserveWatchers(t.Context(), io.Discard, stepTimeout, take)
	require.NoError(t, err)
	assert.EqualValues(t, watchers, out.Load())
	release()
}
