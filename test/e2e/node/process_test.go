package node_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// TestTheRuntimeAndNothingElse: a watch leaves out what this says is the runtime, so it must be no program of a pod.
func TestTheRuntimeAndNothingElse(t *testing.T) {
	for _, p := range []node.Process{
		{Exe: "/usr/sbin/runc"}, {Exe: "/runc"}, {Exe: "/usr/sbin/runc (deleted)"}, {Exe: "/memfd:runc_cloned:runc-dmz (deleted)"},
		{Exe: "/memfd:runc_cloned:/proc/self/exe (deleted)"}, {Exe: "/", Args: []string{"runc", "init"}},
	} {
		assert.True(t, p.Runtime(), "%v", p)
	}
	for _, p := range []node.Process{
		{Exe: "/usr/bin/truncate"}, {Exe: "/home/alice/runc/sh"}, {Exe: "/usr/bin/runc-like"}, {Exe: "/memfd:other (deleted)"},
		{Exe: "/bin/sh", Args: []string{"runc", "init", "more"}}, {Exe: "/bin/sh", Args: []string{"sh", "-c", "runc init"}}, {},
	} {
		assert.False(t, p.Runtime(), "%v", p)
	}
}

func TestMounts(t *testing.T) {
	mounts := node.Process{PID: os.Getpid()}.Mounts()
	assert.Contains(t, mounts, "/")
	assert.Subset(t, []string{"ro", "rw"}, mounts["/"][:1])
}
