package share_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/share"
)

const (
	// silence is how long the share hangs.
	silence = 30 * time.Second
	callers = 32
)

// TestShareHangs uses a real kernel file system that does not respond, under load: the slowest review takes less than a second,
// the number of stuck threads is limited, and users are admitted again when the file system responds again.
//
// The file system is FUSE, which hangs like NFS: the system call blocks in the kernel and cannot be interrupted. It is
// mounted in the test's own mount namespace, so that no other process can access it, and so that the kernel removes it
// when the last process in the namespace has ended.
func TestShareHangs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system that hangs")
	}
	if file, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("this system cannot mount a file system that hangs: %v", err)
	} else {
		require.NoError(t, file.Close())
	}
	const inside = "SHARE_HANGS_INSIDE"
	if os.Getenv(inside) != "" {
		testHang(t)
		return
	}
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	program := exec.Command(self, "-test.run=^TestShareHangs$", "-test.v")
	program.Env = append(os.Environ(), inside+"=1")
	program.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	output, err := program.CombinedOutput()
	t.Logf("%s", output)
	require.NoError(t, err)
}

func testHang(t *testing.T) {
	homes := &homesNode{}
	homes.resume()
	mounted := t.TempDir()
	options := &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "homes"}}
	server, err := fs.Mount(mounted, &rootNode{homes: homes}, options)
	require.NoError(t, err)
	defer func() {
		assert.Eventually(t, func() bool { return server.Unmount() == nil }, machine.Patience, 10*time.Millisecond, "late lookups end")
	}()
	source, err := share.New(t.Context(), share.Options{
		Share: mounted, Home: "home/{user}", MinUID: 1000, Wait: 500 * time.Millisecond, Fresh: time.Second, FreshMissing: time.Second,
		Stale: time.Minute, Registry: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	load := &load{webhook: webhook.New(config.Default(), source)}
	// On a busy machine a lookup can take longer than Wait although nothing hangs.
	var quiet figures
	require.Eventually(t, func() bool {
		quiet = load.run(t, time.Second)
		return quiet.denied == 0
	}, machine.Patience, time.Millisecond)
	threads, goroutines := threadsOf(t), runtime.NumGoroutine()

	watch := machine.WatchDuring(t)
	unblock := homes.block()
	hung := load.run(t, silence)
	t.Logf("while it hangs: %+v, threads %d, before %d, goroutines %d, before %d", hung, threadsOf(t), threads, runtime.NumGoroutine(),
		goroutines)
	watch.Within(t, hung.slowest, time.Second, "the slowest response while the share hangs")
	assert.Positive(t, hung.admitted, "known users are still admitted")
	assert.Positive(t, hung.denied, "new users are denied")
	const stuck = 32
	assert.Less(t, threadsOf(t), threads+stuck+callers, "32 system calls are stuck at most")
	// A stuck lookup has two goroutines: its own, and that of the FUSE server, which runs in this process too.
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+2*stuck+2 }, machine.Patience, 10*time.Millisecond,
		"lookups that wait for a slot end")

	unblock()
	require.Eventually(t, func() bool { return load.run(t, 100*time.Millisecond).denied == 0 }, machine.Patience, time.Millisecond)
	t.Logf("before: %+v, after: %+v", quiet, load.run(t, time.Second))
}

// load sends reviews of known users and of new users.
type load struct {
	webhook *webhook.Webhook
	fresh   atomic.Int64
}

type figures struct {
	admitted, denied int64
	slowest          time.Duration
}

func (l *load) run(t *testing.T, duration time.Duration) figures {
	t.Helper()
	var admitted, denied, slowest atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var working sync.WaitGroup
	for i := range callers {
		working.Go(func() {
			// A realistic rate: a denied user does not try again at once.
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("user%d", i)
				if n%10 == 9 {
					name = fmt.Sprintf("new%d", l.fresh.Add(1))
				}
				began := time.Now()
				d := l.webhook.Decide(context.Background(), webhook.Review{Pod: podOf(name), Namespace: "x"})
				took := int64(time.Since(began))
				for last := slowest.Load(); took > last && !slowest.CompareAndSwap(last, took); last = slowest.Load() {
				}
				if len(d.Denials) > 0 {
					denied.Add(1)
					assert.Equal(t, int32(503), d.Denials[0].Code)
				} else {
					admitted.Add(1)
					assert.Equal(t, config.DiscoveryAtAdmission, d.Discovery)
				}
				<-tick.C
			}
		})
	}
	working.Wait()
	return figures{admitted.Load(), denied.Load(), time.Duration(slowest.Load())}
}

func podOf(name string) []byte {
	return []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"jupyter-user":"` + name + `"}},"spec":{"containers":[{"name":"nb"}]}}`)
}

func threadsOf(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(status), "Threads:\t")
	require.True(t, found)
	line, _, _ := strings.Cut(rest, "\n")
	threads, err := strconv.Atoi(line)
	require.NoError(t, err)
	return threads
}

// rootNode is the root of the mounted share, homesNode is its directory "home", and homeNode is the home of any user.
type (
	rootNode struct {
		fs.Inode
		homes *homesNode
	}
	homesNode struct {
		fs.Inode
		gate atomic.Pointer[chan struct{}]
	}
	homeNode struct {
		fs.Inode
		parent *homesNode
	}
)

const owner = 5001

func (h *homesNode) resume() {
	open := make(chan struct{})
	close(open)
	h.gate.Store(&open)
}

// block blocks every later system call on the homes until unblock is called.
func (h *homesNode) block() (unblock func()) {
	shut := make(chan struct{})
	h.gate.Store(&shut)
	return func() { close(shut) }
}

func (h *homesNode) wait() { <-*h.gate.Load() }

func (d *rootNode) Lookup(ctx context.Context, name string, _ *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if name != "home" {
		return nil, syscall.ENOENT
	}
	return d.NewInode(ctx, d.homes, fs.StableAttr{Mode: syscall.S_IFDIR, Ino: 2}), 0
}

func (h *homesNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	h.wait()
	out.Mode = 0o755
	return 0
}

func (h *homesNode) Lookup(ctx context.Context, _ string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	h.wait()
	out.Mode, out.Uid, out.Gid = 0o700, owner, owner
	return h.NewInode(ctx, &homeNode{parent: h}, fs.StableAttr{Mode: syscall.S_IFDIR}), 0
}

func (h *homeNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	h.parent.wait()
	out.Mode, out.Uid, out.Gid = 0o700, owner, owner
	return 0
}
