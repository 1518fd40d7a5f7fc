package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

const initClosed = "InitClosed: exec and attach to the init container jupyter-user-init are denied: name the notebook container"

// TestInitContainerClosed tests that requesters who may use the home can neither exec nor attach into the init container,
// nor debug it. The init container normally runs for milliseconds, so the test blocks it (see holdInit).
func TestInitContainerClosed(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, discovery, "closed", "alice", images.Plain, withProbes, "--command", "--", "hello")
			hold := p.holdInit(t)
			for name, arguments := range map[string][]string{
				"exec":   {"exec", "closed", "-c", "jupyter-user-init", "-n", discovery.namespace, "--", initProgram},
				"attach": {"attach", "closed", "-c", "jupyter-user-init", "-n", discovery.namespace},
			} {
				t.Run(name, func(t *testing.T) {
					assertDenied(t, kubectl(t, arguments...), initClosed)
				})
			}
			t.Run("debug", func(t *testing.T) {
				result := kubectl(t, "debug", "closed", "-n", discovery.namespace, "--image="+images.DockerStacks, "--profile=restricted",
					"--target=jupyter-user-init", "--", "true")
				assertDenied(t, result, "InitClosed: spec.ephemeralContainers: the init container cannot be debugged")
			})
			t.Run("exec without -c, before the notebook container runs", func(t *testing.T) {
				assertDenied(t, p.exec(t, "id"), `container not found ("closed")`)
			})
			continueInit(t, hold)
			p.ready(t)
			assertOwned(t, p, homeOf("alice"))
		})
	}
}

// attachPod is a Pod to attach to. It prints each line of its input with its UID and groups, and ends when the first client
// disconnects.
const attachPod = `
apiVersion: v1
kind: Pod
metadata:
  name: listening
  labels: {jupyter-user: alice}
spec:
  containers:
  - name: nb
    image: ` + images.Plain + `
    command: [sh, -c, "while read line; do echo $line $(id -u):$(id -G); done"]
    stdin: true
    stdinOnce: true
`

// enterHome is a Python script that lists the home of alice as alice. It prints "relative" if the home contains the link of
// this name. If the script runs as root, as with discovery at start, it becomes alice first.
const enterHome = `
import os
if os.fork() == 0:
    if os.getuid() == 0:
        os.setgroups([6001]); os.setresgid(6001, 6001, 6001); os.setresuid(5001, 5001, 5001)
    print("in the home:", *[name for name in os.listdir("/home/alice") if name == "relative"], flush=True)
    os._exit(0)
os.wait()
`

// TestExecAndAttachRunAsUser tests that bob, who may not use the home of alice, can act as alice with the rights to exec
// and attach in the namespace. kubectl attach gives him the identity of the notebook. With discovery at admission kubectl
// exec gives him the same identity. With discovery at start it gives him a root shell that reaches only the home of alice.
func TestExecAndAttachRunAsUser(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			p := create(t, discovery, "listening", attachPod)
			p.ready(t)
			exec := func(command ...string) controlplane.Result {
				return kubectlAs(t, cluster.bob, append([]string{"exec", p.name, "-n", p.namespace, "--"}, command...)...)
			}
			t.Run("exec", func(t *testing.T) {
				result := exec("sh", "-c", "id -u; grep CapBnd /proc/self/status")
				want := discovery.choose("0\nCapBnd:\t00000000000000c0\n", "5001\nCapBnd:\t0000000000000000\n")
				assert.Equal(t, want, result.Stdout, result.Stderr)
			})
			t.Run("exec reaches this home only", func(t *testing.T) {
				result := exec("python3", "-c", enterHome+attackWithPath(t))
				require.Zero(t, result.ExitCode, result.Stderr)
				assert.Equal(t, "in the home: relative\ndone\n", result.Stdout)
			})
			t.Run("attach", func(t *testing.T) {
				result, err := cluster.bob.KubectlReading(t.Context(), "who\n", "attach", "-i", p.name, "-n", p.namespace)
				require.NoError(t, err)
				assert.Equal(t, "who 5001:6001\n", result.Stdout, result.Stderr)
			})
		})
	}
}
