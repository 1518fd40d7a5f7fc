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

// TestReserveInotify tests that reserveInotify waits for instances that other programs have. If too few are freed in time,
// the error must have the number of instances that a node needs. The test fakes the error of the kernel, because other
// programs would fail if the test took all instances of the machine.
func TestReserveInotify(t *testing.T) {
	var free, out atomic.Int64
	free.Store(inotifyInstances - 1)
	take := func() (int, error) {
		if out.Load() == free.Load() {
			out.Store(0)
			return -1, syscall.EMFILE
		}
		out.Add(1)
		return syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	}
	_, err := reserveInotify(t.Context(), io.Discard, 2*inotifyInterval, take)
	assert.ErrorContains(t, err, "a node needs 24 inotify instances, and other programs of this machine have nearly all of root's ")
	assert.ErrorContains(t, err, "sysctl fs.inotify.max_user_instances=512")

	time.AfterFunc(inotifyInterval/2, func() { free.Store(inotifyInstances) })
	release, err := reserveInotify(t.Context(), io.Discard, stepTimeout, take)
	require.NoError(t, err)
	assert.EqualValues(t, inotifyInstances, out.Load())
	release()
}
