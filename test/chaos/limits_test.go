package chaos

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// TestShortOfEverything runs the server with less than it is shipped with. It serves, or it ends and says why; it never hangs.
func TestShortOfEverything(t *testing.T) {
	t.Run("32 MiB of memory", func(t *testing.T) { t.Parallel(); inLittleMemory(t, 32) })
	t.Run("64 MiB of memory", func(t *testing.T) { t.Parallel(); inLittleMemory(t, 64) })
	t.Run("one processor", func(t *testing.T) {
		t.Parallel()
		serves(t, options{env: []string{"GOMAXPROCS=1"}})
	})
	t.Run("a full disk", onAFullDisk)
	t.Run("a root that is read-only", onAReadOnlyRoot)
	t.Run("suspended for longer than any limit", suspended)
	t.Run("a clock that is wrong", withAWrongClock)
}

// reviews is how many each is asked, a few of them large.
const reviews = 500

// serves asks a server whatever it can do, by many at once.
func serves(t *testing.T, o options) {
	t.Helper()
	r, client := aloneIn(t, o)
	served := burst(reviews, r.reviewing(client))
	served.assertWhole(t)
	report(t, "serves or ends with a sentence, never hangs", "%d reviews of %d callers, %d failed, p99 %s, %.0f MiB the most",
		len(served.tries), many, len(served.failed()), milliseconds(served.share(99)), r.memory(t, "VmHWM"))
}

// inLittleMemory has the kernel end it when it takes more. Large pods take most.
func inLittleMemory(t *testing.T, limit int) {
	group := memoryGroup(t, limit)
	r, client := aloneIn(t, options{around: []string{"sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, group}})
	large := reviewOf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},"spec":{"containers":[` +
		`{"name":"nb","image":"x","args":["` + strings.Repeat("x", 1<<20) + `"]}]}}`)
	served := burst(reviews, r.reviewing(client))
	for range 20 {
		_, _, err := r.ask(client, "/mutate", large)
		if err != nil {
			break
		}
	}
	select {
	case <-r.done:
		report(t, "serves or ends, never hangs", "ended: %v", r.ended)
		assert.Less(t, limit, 64, "64 MiB are enough")
	default:
		served.assertWhole(t)
		r.stillRight(t, client)
		report(t, "serves or ends, never hangs", "%d reviews and 20 of 1 MiB, %d failed, p99 %s", len(served.tries), len(served.failed()),
			milliseconds(served.share(99)))
	}
}

// memoryGroup is a control group with a limit in MiB, which takes root.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	root, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes" // Version 1.
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		root, file = "/sys/fs/cgroup", "memory.max"
	}
	group, err := os.MkdirTemp(root, "jupyter-user-chaos-")
	if err != nil {
		t.Skip("left out: no control group can be made here, which takes root: ", err)
	}
	t.Cleanup(func() { // Once the process is gone, which was begun later.
		assert.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, os.Remove(group)) }, wait, 10*time.Millisecond)
	})
	require.NoError(t, os.WriteFile(filepath.Join(group, file), fmt.Append(nil, limit<<20), 0o600))
	return group
}

// onAFullDisk: where its log goes to, nothing more fits. It writes nothing else.
func onAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close() //nolint:errcheck // nothing was written
	serves(t, options{log: full, at: places(t, 1)[0]})
}

func onAReadOnlyRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("left out: to make the root read-only for one process takes root")
	}
	serves(t, options{around: []string{"unshare", "--mount", "sh", "-c",
		`mount -o remount,bind,ro / && ! touch "$0" 2>/dev/null && exec "$@"`, filepath.Join(t.TempDir(), "x")}})
}

// suspended stops it in the middle of everything, as a machine that is suspended or moved, until every time limit that it has set
// is over. What was half read is given up; what comes then is served.
func suspended(t *testing.T) {
	t.Parallel()
	r, client := alone(t)
	_, _, err := r.ask(client, "/mutate", goodReview)
	require.NoError(t, err)
	half := r.dial(t)
	_, err = io.WriteString(half, beforeEnd+"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n{")
	require.NoError(t, err)
	// It says so once it reads the body: from then on the time runs.
	said, err := bufio.NewReader(half).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, said, "100 Continue")
	watch := machine.For(t)
	r.pause(t)
	<-time.After(11 * time.Second) // The limits are ten; nothing can be seen of who does nothing.
	r.signal(t, syscall.SIGCONT)
	began := time.Now()
	require.NoError(t, untilClosed(half, time.Now().Add(wait)))
	// Its time runs again where the server was stopped between its word that it reads the body and the reading.
	within(t, watch, time.Since(began), bodyTime+5*time.Second, "a request that is half there to be given up")
	r.untilReady(t)
	r.stillRight(t, client)
	report(t, "serves, never hangs", "stopped for 11 s, serves %s later", milliseconds(time.Since(began)))
}

// withAWrongClock: to whose clock has jumped, the certificate has expired or is not valid yet. It says so, and gets no reviews
// until that is over; it does not end, because a restart would not help.
func withAWrongClock(t *testing.T) {
	t.Parallel()
	for jumped, by := range map[string]time.Duration{"forward": -2 * time.Hour, "backward": 2 * time.Hour} {
		certs := newSecret(t, pki.Make(t, time.Hour))
		r := serve(t, options{certs: certs.dir})
		from := time.Now().Add(by)
		other, err := pki.Between(from, from.Add(time.Hour), "localhost")
		require.NoError(t, err)
		certs.set(t, other)
		require.Eventually(t, func() bool {
			err := ready(r.http)
			return err != nil && strings.Contains(err.Error(), "the serving certificate is valid from ")
		}, wait, 10*time.Millisecond, jumped)
		certs.set(t, pki.Make(t, time.Hour))
		r.untilReady(t)
	}
	report(t, "serves or ends with a sentence, never hangs", "not ready while the certificate is of another time, ready afterwards")
}
