package children_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/children"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// TestStartFromThreadThatEnds calls Start in a goroutine that is locked to its thread. When the goroutine returns, its
// thread ends. The process must still run.
func TestStartFromThreadThatEnds(t *testing.T) {
	echo := exec.Command("cat")
	in, err := echo.StdinPipe()
	require.NoError(t, err)
	out, err := echo.StdoutPipe()
	require.NoError(t, err)
	thread := 0
	// The main thread does not end with its goroutine. So the test starts goroutines until one of them runs on another
	// thread than the main thread.
	for thread == 0 {
		started := make(chan int)
		go func() {
			runtime.LockOSThread()
			if syscall.Gettid() == os.Getpid() {
				started <- 0
				return
			}
			assert.NoError(t, children.Start(echo))
			started <- syscall.Gettid()
		}()
		thread = <-started
	}
	ended := fmt.Sprintf("/proc/self/task/%d", thread)
	require.Eventually(t, func() bool {
		_, err := os.Stat(ended)
		return os.IsNotExist(err)
	}, machine.Patience, time.Millisecond, "the thread ends")
	_, err = fmt.Fprintln(in, "it is there")
	require.NoError(t, err)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "it is there\n", line)
	require.NoError(t, in.Close())
	require.NoError(t, echo.Wait())
}
