package e2e

import (
	"context"
	"fmt"
	"strings"
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

// rooted watches the node for processes with any UID 0 while something happens. What the runtime does before it becomes the
// container's process is its own.
func rooted(t *testing.T, while func()) []node.Process {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	found := make(chan []node.Process)
	go func() {
		found <- node.Watch(ctx, func(p node.Process) bool { return p.Root() && !p.Runtime() })
	}()
	while()
	stop()
	return <-found
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
		found = append(found, fmt.Sprintf("%s %s", p.Exe, strings.Join(p.Args, " ")))
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
	found := rooted(t, func() {
		got = p.await(t, readyLimit, "to end", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	})
	assert.NotEmpty(t, of(got, found), "python3 starts and ends, as root, in some ten milliseconds")
}

// TestAtAdmissionNothingIsEverRoot: from the first instruction of the init container on.
func TestAtAdmissionNothingIsEverRoot(t *testing.T) {
	var p pod
	var got *corev1.Pod
	found := rooted(t, func() {
		p = run(t, atAdmission, "never-root", "alice", images.DockerStacks, withToken)
		got = p.ready(t)
		p.jupyter(t).kernel(t).run(t, "print(1)")
		require.Zero(t, p.exec(t, "true").ExitCode)
	})
	assert.Empty(t, programs(of(got, found)))

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
	found := rooted(t, func() {
		p = run(t, atStart, "hardly-root", "alice", images.DockerStacks, withToken)
		got = p.ready(t)
		p.jupyter(t).kernel(t).run(t, "print(1)")
	})
	for _, process := range of(got, found) {
		assert.Equal(t, "/config/jupyter-user-init", process.Exe, "as root: %v", process.Args)
		assert.EqualValues(t, capSetUID|capSetGID, process.Bounding)
	}
	t.Run("afterwards nothing has UID 0 or a capability", func(t *testing.T) { assertOwned(t, p, homeOf("alice")) })
	t.Run("no sudo", func(t *testing.T) {
		for _, process := range p.processes(t) {
			assert.NotContains(t, process.Exe, "sudo")
			assert.NotContains(t, process.Args, "sudo")
		}
		answer := p.jupyter(t).kernel(t).run(t, `
import subprocess
print(subprocess.run(["sudo", "-n", "true"], capture_output=True, text=True).returncode != 0)`)
		assert.Equal(t, "True\n", answer)
	})
	t.Run("kubectl exec has two capabilities", func(t *testing.T) {
		result := p.exec(t, "sh", "-c", "id -u; grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status")
		assert.Equal(t, "0\nCapPrm:\t00000000000000c0\nCapEff:\t00000000000000c0\nCapBnd:\t00000000000000c0\nNoNewPrivs:\t1\n",
			result.Stdout, result.Stderr)
	})
	t.Run("the scratch volume is read-only to the notebook", func(t *testing.T) {
		// Both as the person and as root.
		answer := p.jupyter(t).kernel(t).run(t, `
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
