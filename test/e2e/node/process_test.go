package node

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestIsRuntime tests that IsRuntime recognizes the container runtime, and does not take a program of a Pod for it. Tests
// that look for root processes ignore the runtime.
func TestIsRuntime(t *testing.T) {
	for _, p := range []Process{
		{Exe: "/usr/sbin/runc"}, {Exe: "/runc"}, {Exe: "/usr/sbin/runc (deleted)"}, {Exe: "/memfd:runc_cloned:runc-dmz (deleted)"},
		{Exe: "/memfd:runc_cloned:/proc/self/exe (deleted)"}, {Exe: "/", Args: []string{"runc", "init"}},
	} {
		assert.True(t, p.IsRuntime(), "%v", p)
	}
	for _, p := range []Process{
		{Exe: "/usr/bin/truncate"}, {Exe: "/home/alice/runc/sh"}, {Exe: "/usr/bin/runc-like"}, {Exe: "/memfd:other (deleted)"},
		{Exe: "/bin/sh", Args: []string{"runc", "init", "more"}}, {Exe: "/bin/sh", Args: []string{"sh", "-c", "runc init"}}, {},
	} {
		assert.False(t, p.IsRuntime(), "%v", p)
	}
}

func TestMounts(t *testing.T) {
	mounts := Process{PID: os.Getpid()}.Mounts()
	assert.Contains(t, mounts, "/")
	assert.Subset(t, []string{"ro", "rw"}, mounts["/"][:1])
}

// TestReadEndingProcess tests that if a process ends while readProcess reads it, readProcess returns an error, and not a
// process without arguments. The arguments may be missing only before the process has started its program.
func TestReadEndingProcess(t *testing.T) {
	for range 100 {
		short := exec.Command("/bin/true", "argument")
		require.NoError(t, short.Start())
		begun := false
		for {
			p, err := readProcess(short.Process.Pid)
			if err != nil {
				break
			}
			if slices.Equal(p.Args, []string{"/bin/true", "argument"}) {
				begun = true
			}
			require.False(t, begun && slices.Equal(p.Args, []string{""}), p.Exe)
		}
		require.NoError(t, short.Wait())
	}
}
