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

// TestLimitedResources runs replicas with little memory, one processor, a full disk or a read-only root file system. It
// also suspends a replica, and gives a replica a certificate that has expired or is not valid yet. A replica serves, ends
// with an error, or is not ready until the fault is over. No replica hangs.
func TestLimitedResources(t *testing.T) {
	t.Run("32 MiB of memory", func(t *testing.T) { t.Parallel(); runInLittleMemory(t, 32) })
	t.Run("64 MiB of memory", func(t *testing.T) { t.Parallel(); runInLittleMemory(t, 64) })
	t.Run("one processor", func(t *testing.T) {
		t.Parallel()
		assertServes(t, options{env: []string{"GOMAXPROCS=1"}})
	})
	t.Run("a full disk", runOnFullDisk)
	t.Run("a read-only root file system", runOnReadOnlyRoot)
	t.Run("a suspended process", testSuspended)
	t.Run("a wrong clock", testWrongClock)
}

// reviews is the number of small reviews that assertServes and runInLittleMemory send.
const reviews = 500

// assertServes starts a replica and asserts that it admits many concurrent reviews.
func assertServes(t *testing.T, o options) {
	t.Helper()
	r, client := startAloneWith(t, o)
	served := callMany(reviews, r.reviewing(client))
	served.assertWhole(t)
	report(t, "serves or ends with an error, never hangs", "%d reviews by %d clients, %d failed, p99 %s, at most %.0f MiB",
		len(served.tries), manyCallers, len(served.failed()), milliseconds(served.percentile(99)), r.memory(t, "VmHWM"))
}

// runInLittleMemory sends many reviews, also of large Pods, to a replica that the kernel kills if the replica takes more
// memory than the limit in MiB. With a limit below 64 MiB, the replica may end.
func runInLittleMemory(t *testing.T, limit int) {
	group := memoryGroup(t, limit)
	r, client := startAloneWith(t, options{wrapper: []string{"sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, group}})
	large := reviewOf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},"spec":{"containers":[` +
		`{"name":"nb","image":"x","args":["` + strings.Repeat("x", 1<<20) + `"]}]}}`)
	served := callMany(reviews, r.reviewing(client))
	for range 20 {
		_, _, err := r.send(client, "/mutate", large)
		if err != nil {
			r.untilEnded(t) // only a replica that ends does not respond
			break
		}
	}
	select {
	case <-r.done:
		report(t, "serves or ends, never hangs", "ended: %v", r.ended)
		assert.Less(t, limit, 64, "64 MiB are enough")
	default:
		served.assertWhole(t)
		r.assertHealthy(t, client)
		report(t, "serves or ends, never hangs", "%d reviews and 20 of 1 MiB, %d failed, p99 %s", len(served.tries), len(served.failed()),
			milliseconds(served.percentile(99)))
	}
}

// memoryGroup creates a cgroup with a memory limit in MiB and returns its folder. Only root can do this.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	root, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes" // cgroup v1
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		root, file = "/sys/fs/cgroup", "memory.max"
	}
	group, err := os.MkdirTemp(root, "jupyter-user-chaos-")
	if err != nil {
		t.Skip("skipped: a cgroup cannot be created here, which only root can do: ", err)
	}
	t.Cleanup(func() { // The cgroup can be removed when its process has ended.
		assert.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, os.Remove(group)) }, wait, 10*time.Millisecond)
	})
	require.NoError(t, os.WriteFile(filepath.Join(group, file), fmt.Append(nil, limit<<20), 0o600))
	return group
}

// runOnFullDisk runs a replica that cannot write its log. A replica writes nothing else to a disk.
func runOnFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close() //nolint:errcheck // nothing can be written to it
	assertServes(t, options{log: full, at: freeAddresses(t, 1)[0]})
}

func runOnReadOnlyRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can make the root file system read-only for one process")
	}
	assertServes(t, options{wrapper: []string{"unshare", "--mount", "sh", "-c",
		`mount -o remount,bind,ro / && ! touch "$0" 2>/dev/null && exec "$@"`, filepath.Join(t.TempDir(), "x")}})
}

// testSuspended suspends a replica for longer than the time limits of a request, as when a machine is suspended. When the
// replica continues, it closes the connection of a request that it had read in part, and serves new requests.
func testSuspended(t *testing.T) {
	t.Parallel()
	r, client := startAlone(t)
	_, _, err := r.send(client, "/mutate", goodReview)
	require.NoError(t, err)
	half := r.dial(t)
	_, err = io.WriteString(half, openHead+"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n{")
	require.NoError(t, err)
	// The server sends 100 Continue when it begins to read the body. The time limit of the request has begun by then.
	status, err := bufio.NewReader(half).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, status, "100 Continue")
	watch := machine.WatchDuring(t)
	r.pause(t)
	<-time.After(11 * time.Second) // The limits are ten seconds. A suspended process shows no condition to wait for.
	r.signal(t, syscall.SIGCONT)
	began := time.Now()
	require.NoError(t, untilClosed(half, time.Now().Add(wait)))
	// The replica should close the connection at once, because the time limit has passed during the suspension. A replica that
	// counts the time limit again from the end of the suspension passes too: what matters is that it does not hang.
	within(t, watch, time.Since(began), bodyTime+5*time.Second, "the end of an incomplete request")
	r.untilReady(t)
	r.assertHealthy(t, client)
	report(t, "serves, never hangs", "stopped for 11 s, serves %s later", milliseconds(time.Since(began)))
}

// testWrongClock gives a running replica a certificate that has expired or is not valid yet, as with a wrong clock. The
// replica must become unready, and the response of /readyz must have the reason. The replica must not end, because a restart
// would not help.
func testWrongClock(t *testing.T) {
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
	report(t, "serves or ends with an error, never hangs", "not ready while the certificate is of another time, ready afterwards")
}
