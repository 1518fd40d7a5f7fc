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

// A sight is what a watch of the node saw while something happened. What the runtime does before it becomes the container's
// process is its own.
type sight struct {
	// rooted are processes with any UID 0.
	rooted []node.Process
	// inits are those of our init container, whatever their identity.
	inits []node.Process
	// mounts are those that the inits saw, by the process.
	mounts map[int]map[string][]string
}

// initProgram is our program where the init container has it. The notebook container has a copy of it elsewhere.
const initProgram = "/jupyter-user-init"

// becomes is our program in the notebook container.
const becomes = "/config/jupyter-user-init"

// watch tells while whether it has seen one of our programs so far: the init container's with its mounts, the other as root.
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
				// Later it is gone. The mounts of a process that is on its way out are none.
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

// TestTheInitContainerIsNobodyInParticular, in both ways, and sees the homes read-only. It lives for a few milliseconds, in which
// the watch may have looked elsewhere: then there is another pod.
// TestTheInitContainerIsNobodyInParticular, or the user where that is known; never root, and without any capability.
func TestTheInitContainerIsNobodyInParticular(t *testing.T) {
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

// runsAs is whom an init container is admitted as: its command line says it where that is known.
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

// initUser is nobody in particular: see webhook/inject/init.go.
const initUser = 65532

// assertMounts looks from the node at what a notebook process of alice's may write to.
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

// TestTheWatchSeesRoot proves that the watch below could fail.
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

// TestAtAdmissionNothingIsEverRoot: from the first instruction of the init container on.
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

// initProcess is the first process of the notebook container.
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

// TestAtStartOnlyOurProgramIsRoot: it becomes the user before anything of the image runs.
func TestAtStartOnlyOurProgramIsRoot(t *testing.T) {
	var p pod
	var got *corev1.Pod
	saw := watch(t, func(caught func(string) bool) {
		p = run(t, atStart, "hardly-root", "alice", images.DockerStacks, withToken)
		got = p.ready(t)
		p.jupyter(t).Kernel(t).Run(t, "print(1)")
		// It is root for about a millisecond, in which the watch may have looked elsewhere: then it is run again, as hooks are.
		for i := 0; i < 100 && !caught(becomes); i++ {
			said := p.exec(t, becomes, "exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--", "id", "-u")
			assert.Equal(t, "5001\n", said.Stdout, said.Stderr)
		}
	})
	require.NotEmpty(t, of(got, saw.rooted), "our program starts as root, or it could become nobody")
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
		// Both as the user and as root.
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
			// The files are not root's in the container either.
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
