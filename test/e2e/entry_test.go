package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

const initClosed = "InitClosed: the init container jupyter-user-init is nobody's to look into: name the notebook container"

// TestTheInitContainerIsClosed while it runs, which is for milliseconds where nobody holds it, to those who may use the home too.
func TestTheInitContainerIsClosed(t *testing.T) {
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
				assertDenied(t, result, "InitClosed: spec.ephemeralContainers: the init container is nobody's to look into")
			})
			t.Run("without a name, there is no notebook yet", func(t *testing.T) {
				assertDenied(t, p.exec(t, "id"), `container not found ("closed")`)
			})
			letGo(t, hold)
			p.ready(t)
			assertOwned(t, p, homeOf("alice"))
		})
	}
}

// listening has somebody to attach to: it answers each line with who reads it, and ends with the first who attached.
const listening = `
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

// intoTheHome goes into alice's home as she: at start, a shell is root and may become her.
const intoTheHome = `
import os
if os.fork() == 0:
    if os.getuid() == 0:
        os.setgroups([6001]); os.setresgid(6001, 6001, 6001); os.setresuid(5001, 5001, 5001)
    print("in the home:", *[name for name in os.listdir("/home/alice") if name == "relative"], flush=True)
    os._exit(0)
os.wait()
`

// TestWhoMayExecIsTheUser: exec and attach are the namespace's to give, and bob, who has no right to the home, is alice with
// them. That is all: attached, he is who the notebook is, and what is root in a shell at start sees this home alone.
func TestWhoMayExecIsTheUser(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			p := create(t, discovery, "listening", listening)
			p.ready(t)
			exec := func(command ...string) controlplane.Result {
				return kubectlAs(t, world.bob, append([]string{"exec", p.name, "-n", p.namespace, "--"}, command...)...)
			}
			t.Run("exec", func(t *testing.T) {
				result := exec("sh", "-c", "id -u; grep CapBnd /proc/self/status")
				want := discovery.either("0\nCapBnd:\t00000000000000c0\n", "5001\nCapBnd:\t0000000000000000\n")
				assert.Equal(t, want, result.Stdout, result.Stderr)
			})
			t.Run("this home is open to exec, others are out of reach", func(t *testing.T) {
				result := exec("python3", "-c", intoTheHome+reaching(t))
				require.Zero(t, result.ExitCode, result.Stderr)
				assert.Equal(t, "in the home: relative\ndone\n", result.Stdout)
			})
			t.Run("attach", func(t *testing.T) {
				result, err := world.bob.KubectlReading(t.Context(), "who\n", "attach", "-i", p.name, "-n", p.namespace)
				require.NoError(t, err)
				assert.Equal(t, "who 5001:6001\n", result.Stdout, result.Stderr)
			})
		})
	}
}
