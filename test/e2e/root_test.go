package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// Bits of capabilities, as linux/capability.h numbers them.
const (
	capSetGID = 1 << 6
	capSetUID = 1 << 7
)

// sight is what a watch of the node saw. It omits processes of the runtime before they become the container's process.
type sight struct {
	// rooted are processes with at least one UID 0.
	rooted []node.Process
	// inits are the processes of our init container, with any identity.
	inits []node.Process
	// mounts are the mounts that the inits saw, by process.
	mounts map[int]map[string][]string
}

// initProgram is the path of our program in the init container. The notebook container has a copy at another path.
const initProgram = "/jupyter-user-init"

// becomes is the path of our program in the notebook container.
const becomes = "/config/jupyter-user-init"

// watch observes the node during while. caught reports whether one of our programs was seen so far: the init container's with its
// mounts, the other one as root.
func watch(t *testing.T, while func(caught func(program string) bool)) sight {
	t.Helper()
	var caught sync.Map
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	mounts := map[int]map[string][]string{}
	found := make(chan []node.Process, 1)
	go func() {
		found <- node.Watch(ctx, func(p node.Process) bool {
			if p.Exe == initProgram {
				// A process that is ending has no mounts, so the earlier ones count.
				if seen := p.Mounts(); len(seen) > 0 {
					mounts[p.PID] = seen
					caught.Store(initProgram, true)
				}
				return true
			}
			if p.Exe == becomes && p.Root() {
				caught.Store(becomes, true)
			}
			return p.Root() && !p.Runtime()
		})
	}()
	while(func(program string) bool {
		_, ok := caught.Load(program)
		return ok
	})
	stop()
	saw := sight{mounts: mounts}
	for _, p := range <-found {
		if p.Exe == initProgram {
			saw.inits = append(saw.inits, p)
		}
		if p.Root() {
			saw.rooted = append(saw.rooted, p)
		}
	}
	return saw
}

// TestInitContainerIsNeverRoot: with both discoveries the init container is never root, has no capability, and sees
// the homes read-only. It runs as the user if the user is known at admission. It lives for milliseconds, so the watch may miss
// it: then another Pod runs.
func TestInitContainerIsNeverRoot(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			saw := watch(t, func(caught func(string) bool) {
				for i := 0; i < 20 && !caught(initProgram); i++ {
					p := run(t, discovery, fmt.Sprintf("init-%d", i), "alice", images.Plain, "--command", "--", "hello")
					p.await(t, readyLimit, "to have come past the init container", func(p *corev1.Pod) bool {
						return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Running != nil
					})
				}
			})
			require.NotEmpty(t, saw.mounts, "the watch saw no init container in twenty pods")
			saw.assertInits(t)
		})
	}
}

func (s sight) assertInits(t *testing.T) {
	t.Helper()
	for _, p := range s.inits {
		uid, gid := runsAs(p)
		assert.Equal(t, []int64{uid, uid, uid, uid}, p.UIDs)
		assert.Equal(t, []int64{gid, gid, gid, gid}, p.GIDs)
		for _, set := range []uint64{p.Inheritable, p.Permitted, p.Effective, p.Bounding, p.Ambient} {
			assert.Zero(t, set)
		}
		assert.True(t, p.NoNewPrivs)
		if mounts, caught := s.mounts[p.PID]; caught {
			assert.Contains(t, mounts["/data/hpc/home"], "ro", "the homes")
			assert.Contains(t, mounts["/config"], "rw")
			assert.Contains(t, mounts["/"], "ro")
		}
	}
}

// runsAs returns the identity of an init container. With discovery at admission its command line has it.
func runsAs(p node.Process) (uid, gid int64) {
	uid, gid = initUser, initUser
	for _, arg := range p.Args {
		for flag, number := range map[string]*int64{"--uid=": &uid, "--gid=": &gid} {
			if text, ok := strings.CutPrefix(arg, flag); ok {
				*number, _ = strconv.ParseInt(text, 10, 64)
			}
		}
	}
	return uid, gid
}

// initUser is the UID of the init container with discovery at start: see webhook/inject/init.go.
const initUser = 65532

// assertMounts checks from the node where a notebook process of alice may write.
func assertMounts(t *testing.T, p pod) {
	t.Helper()
	for _, process := range p.processes(t) {
		mounts := process.Mounts()
		for _, path := range []string{"/config", "/etc/passwd", "/etc/group"} {
			assert.Contains(t, mounts[path], "ro", path)
		}
		for _, path := range []string{"/home/alice", "/data/hpc/home/alice"} {
			assert.Contains(t, mounts[path], "rw", path)
		}
	}
}

func of(p *corev1.Pod, processes []node.Process) (its []node.Process) {
	for _, process := range processes {
		if process.Pod == p.UID {
			its = append(its, process)
		}
	}
	return its
}

func programs(processes []node.Process) (found []string) {
	for _, p := range processes {
		found = append(found, fmt.Sprintf("%s %q with the UIDs %v", p.Exe, p.Args, p.UIDs))
	}
	return found
}

// TestTheWatchSeesRoot proves that the watch of these tests can find root.
func TestTheWatchSeesRoot(t *testing.T) {
	require.NoError(t, world.apply(t.Context(), `
apiVersion: v1
kind: Pod
metadata: {name: root, namespace: default}
spec:
  containers:
  - {name: root, image: `+images.Plain+`, command: ["python3", "-c", "pass"]}
  restartPolicy: Never
`))
	p := created(t, "default", "root")
	var got *corev1.Pod
	saw := watch(t, func(func(string) bool) {
		got = p.await(t, readyLimit, "to end", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	})
	assert.NotEmpty(t, of(got, saw.rooted), "python3 starts and ends, as root, in some ten milliseconds")
}

// TestAtAdmissionNothingIsEverRoot: no process is root, beginning with the init container.
func TestAtAdmissionNothingIsEverRoot(t *testing.T) {
	var p pod
	var got *corev1.Pod
	saw := watch(t, func(func(string) bool) {
		p = run(t, atAdmission, "never-root", "alice", images.DockerStacks, withToken)
		got = p.ready(t)
		p.jupyter(t).Kernel(t).Run(t, "print(1)")
		require.Zero(t, p.exec(t, "true").ExitCode)
	})
	assert.Empty(t, programs(of(got, saw.rooted)))

	t.Run("the notebook's mounts", func(t *testing.T) { assertMounts(t, p) })
	t.Run("the bounding set is empty", func(t *testing.T) {
		for _, process := range p.processes(t) {
			assert.Zero(t, process.Bounding, process.Exe)
		}
	})
	t.Run("kubectl exec is the user", func(t *testing.T) {
		result := p.exec(t, "sh", "-c", "id -u; id -g; id -G; whoami; grep CapBnd /proc/self/status")
		assert.Equal(t, "5001\n6001\n6001\nalice\nCapBnd:\t0000000000000000\n", result.Stdout, result.Stderr)
	})
	t.Run("the image's entrypoint is untouched", func(t *testing.T) {
		assert.Empty(t, got.Spec.Containers[0].Command)
		assert.Empty(t, got.Spec.Containers[0].Args)
		first := initProcess(t, p)
		assert.Equal(t, []string{"tini", "-g", "--", "start.sh", "start-notebook.py"}, first.Args)
	})
}

// initProcess returns the first process of the notebook container.
func initProcess(t *testing.T, p pod) node.Process {
	t.Helper()
	processes := p.processes(t)
	first := processes[0]
	for _, process := range processes {
		if process.PID < first.PID {
			first = process
		}
	}
	return first
}

// TestAtStartOnlyOurProgramIsRoot: our program becomes the user before any program of the image runs.
func TestAtStartOnlyOurProgramIsRoot(t *testing.T) {
	var p pod
	var got *corev1.Pod
	saw := watch(t, func(caught func(string) bool) {
		p = run(t, atStart, "hardly-root", "alice", images.DockerStacks, withToken)
		got = p.ready(t)
		p.jupyter(t).Kernel(t).Run(t, "print(1)")
		// Our program is root for about a millisecond, so the watch may miss it: then the test runs the program again.
		for i := 0; i < 100 && !caught(becomes); i++ {
			said := p.exec(t, becomes, "exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--", "id", "-u")
			assert.Equal(t, "5001\n", said.Stdout, said.Stderr)
		}
	})
	require.NotEmpty(t, of(got, saw.rooted), "our program must start as root to become the user")
	for _, process := range of(got, saw.rooted) {
		assert.Equal(t, becomes, process.Exe, "as root: %v", process.Args)
		assert.EqualValues(t, capSetUID|capSetGID, process.Bounding)
	}
	t.Run("afterwards nothing has UID 0 or a capability", func(t *testing.T) { assertOwned(t, p, homeOf("alice")) })
	t.Run("the notebook's mounts", func(t *testing.T) { assertMounts(t, p) })
	t.Run("no sudo", func(t *testing.T) { assertNoSudo(t, p) })
	t.Run("kubectl exec has two capabilities", func(t *testing.T) {
		result := p.exec(t, "sh", "-c", "id -u; grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status")
		assert.Equal(t, "0\nCapPrm:\t00000000000000c0\nCapEff:\t00000000000000c0\nCapBnd:\t00000000000000c0\nNoNewPrivs:\t1\n",
			result.Stdout, result.Stderr)
	})
	t.Run("the scratch volume is read-only to the notebook", func(t *testing.T) {
		// The test writes both as the user and as root.
		answer := p.jupyter(t).Kernel(t).Run(t, `
import os
for path in ["/config/new", "/config/uid-gid.env", "/config/passwd", "/config/jupyter-user-init", "/etc/passwd", "/etc/group"]:
    try:
        open(path, "a")
        print("wrote", path)
    except OSError as error:
        print(error.strerror)`)
		assert.NotContains(t, answer, "wrote")
		for _, path := range []string{"/config/new", "/config/uid-gid.env", "/config/jupyter-user-init", "/etc/passwd"} {
			result := p.exec(t, "sh", "-c", "echo x >> "+path)
			assert.NotZero(t, result.ExitCode, path)
			// Even in the container the files do not belong to root.
			assert.Regexp(t, "Read-only file system|Permission denied", result.Stderr, path)
		}
	})
}

func assertNoSudo(t *testing.T, p pod) {
	t.Helper()
	for _, process := range p.processes(t) {
		assert.NotContains(t, process.Exe, "sudo")
		assert.NotContains(t, process.Args, "sudo")
	}
	answer := p.jupyter(t).Kernel(t).Run(t, `
import subprocess
print(subprocess.run(["sudo", "-n", "true"], capture_output=True, text=True).returncode != 0)`)
	assert.Equal(t, "True\n", answer)
}
