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

// observed is the result of the function observe: processes on the node, without those of the container runtime. asRoot are
// the processes that had a UID 0: real, effective, saved or file system UID.
type observed struct {
	asRoot []node.Process
	// inits are the processes of the init container jupyter-user-init, whatever their UIDs are.
	inits []node.Process
	// mounts are the mounts of the processes in inits, by process ID.
	mounts map[int]map[string][]string
}

// initProgram is the path of jupyter-user-init in the init container.
const initProgram = "/jupyter-user-init"

// notebookProgram is the path of the copy of jupyter-user-init in the notebook container.
const notebookProgram = "/config/jupyter-user-init"

// observe watches the processes of all Pods while the function "action" runs. The argument of "action" is the function "seen":
// seen(initProgram) reports whether observe has found this program and its mounts, and seen(notebookProgram) whether it has
// found this program as root.
func observe(t *testing.T, action func(seen func(program string) bool)) observed {
	t.Helper()
	var programs sync.Map
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	mounts := map[int]map[string][]string{}
	found := make(chan []node.Process, 1)
	go func() {
		found <- node.Watch(ctx, func(p node.Process) bool {
			if p.Exe == initProgram {
				// A process that is ending has no mounts. The mounts that were read before are kept.
				if visible := p.Mounts(); len(visible) > 0 {
					mounts[p.PID] = visible
					programs.Store(initProgram, true)
				}
				return true
			}
			if p.Exe == notebookProgram && p.IsRoot() {
				programs.Store(notebookProgram, true)
			}
			return p.IsRoot() && !p.IsRuntime()
		})
	}()
	action(func(program string) bool {
		_, ok := programs.Load(program)
		return ok
	})
	stop()
	saw := observed{mounts: mounts}
	for _, p := range <-found {
		if p.Exe == initProgram {
			saw.inits = append(saw.inits, p)
		}
		if p.IsRoot() {
			saw.asRoot = append(saw.asRoot, p)
		}
	}
	return saw
}

// TestInitContainerNeverRoot tests that with both discoveries the init container is never root, has no capability, and sees
// the homes read-only. With discovery at admission it runs as the user. The init container runs only for milliseconds. If
// observe does not see it, the test runs another Pod.
func TestInitContainerNeverRoot(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			saw := observe(t, func(seen func(string) bool) {
				for i := 0; i < 20 && !seen(initProgram); i++ {
					p := run(t, discovery, fmt.Sprintf("init-%d", i), "alice", images.Plain, "--command", "--", "hello")
					p.await(t, readyLimit, "to have come past the init container", func(p *corev1.Pod) bool {
						return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Running != nil
					})
				}
			})
			require.NotEmpty(t, saw.mounts, "no init container was seen in twenty Pods")
			saw.assertInits(t)
		})
	}
}

func (s observed) assertInits(t *testing.T) {
	t.Helper()
	for _, p := range s.inits {
		uid, gid := initIdentity(p)
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

// initIdentity returns the expected UID and GID of a process of the init container. With discovery at admission they are in
// the arguments of the process, and with discovery at start they are initUser.
func initIdentity(p node.Process) (uid, gid int64) {
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

// initUser is the UID and GID of the init container with discovery at start: see webhook/inject/init.go.
const initUser = 65532

// assertMounts asserts which mounts of alice's notebook are read-only and which are read-write. It reads the mounts on the
// node.
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

func processesOfPod(p *corev1.Pod, processes []node.Process) (found []node.Process) {
	for _, process := range processes {
		if process.Pod == p.UID {
			found = append(found, process)
		}
	}
	return found
}

func describeProcesses(processes []node.Process) (found []string) {
	for _, p := range processes {
		found = append(found, fmt.Sprintf("%s %q with the UIDs %v", p.Exe, p.Args, p.UIDs))
	}
	return found
}

// TestObserveSeesRoot tests that the function observe finds a process that runs as root for about ten milliseconds. On a
// busy machine observe can miss this process, so the test runs up to twenty Pods.
func TestObserveSeesRoot(t *testing.T) {
	for i := range 20 {
		name := fmt.Sprintf("root-%d", i)
		require.NoError(t, cluster.apply(t.Context(), `
apiVersion: v1
kind: Pod
metadata: {name: `+name+`, namespace: default}
spec:
  containers:
  - {name: root, image: `+images.Plain+`, command: ["python3", "-c", "pass"]}
  restartPolicy: Never
`))
		p := removeAtEnd(t, "default", name)
		var got *corev1.Pod
		saw := observe(t, func(func(string) bool) {
			got = p.await(t, readyLimit, "to end", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
		})
		if len(processesOfPod(got, saw.asRoot)) > 0 {
			return
		}
	}
	t.Error("observe saw no process of twenty Pods that ran python3 as root")
}

// TestNoRootAtAdmission tests that with discovery at admission no process of the Pod is root, from the init container on.
func TestNoRootAtAdmission(t *testing.T) {
	var p pod
	var got *corev1.Pod
	saw := observe(t, func(func(string) bool) {
		p = run(t, atAdmission, "never-root", "alice", images.DockerStacks, withToken)
		got = p.ready(t)
		p.jupyter(t).Kernel(t).Run(t, "print(1)")
		require.Zero(t, p.exec(t, "true").ExitCode)
	})
	assert.Empty(t, describeProcesses(processesOfPod(got, saw.asRoot)))

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
	t.Run("the image's entrypoint is unchanged", func(t *testing.T) {
		assert.Empty(t, got.Spec.Containers[0].Command)
		assert.Empty(t, got.Spec.Containers[0].Args)
		first := firstProcess(t, p)
		assert.Equal(t, []string{"tini", "-g", "--", "start.sh", "start-notebook.py"}, first.Args)
	})
}

// firstProcess returns the first process of the notebook container.
func firstProcess(t *testing.T, p pod) node.Process {
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

// TestOnlyOurProgramIsRootAtStart tests that with discovery at start jupyter-user-init becomes the user before it runs a
// program of the image.
func TestOnlyOurProgramIsRootAtStart(t *testing.T) {
	var p pod
	var got *corev1.Pod
	saw := observe(t, func(seen func(string) bool) {
		p = run(t, atStart, "hardly-root", "alice", images.DockerStacks, withToken)
		got = p.ready(t)
		p.jupyter(t).Kernel(t).Run(t, "print(1)")
		// The program jupyter-user-init is root for about a millisecond. If observe has not seen it, the test runs it
		// again.
		for i := 0; i < 100 && !seen(notebookProgram); i++ {
			result := p.exec(t, notebookProgram, "exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--", "id", "-u")
			assert.Equal(t, "5001\n", result.Stdout, result.Stderr)
		}
	})
	require.NotEmpty(t, processesOfPod(got, saw.asRoot), "our program must start as root to become the user")
	for _, process := range processesOfPod(got, saw.asRoot) {
		assert.Equal(t, notebookProgram, process.Exe, "as root: %v", process.Args)
		assert.EqualValues(t, capSetUID|capSetGID, process.Bounding)
	}
	t.Run("no process has UID 0 or a capability afterwards", func(t *testing.T) { assertOwned(t, p, homeOf("alice")) })
	t.Run("the notebook's mounts", func(t *testing.T) { assertMounts(t, p) })
	t.Run("no sudo", func(t *testing.T) { assertNoSudo(t, p) })
	t.Run("kubectl exec has two capabilities", func(t *testing.T) {
		result := p.exec(t, "sh", "-c", "id -u; grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status")
		assert.Equal(t, "0\nCapPrm:\t00000000000000c0\nCapEff:\t00000000000000c0\nCapBnd:\t00000000000000c0\nNoNewPrivs:\t1\n",
			result.Stdout, result.Stderr)
	})
	t.Run("the scratch volume is read-only to the notebook", func(t *testing.T) {
		// The test tries to write as the user and as root.
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
			// Not all of these files belong to root, so the error can also be that of the file permissions.
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
