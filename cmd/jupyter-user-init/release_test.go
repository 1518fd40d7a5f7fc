package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUnknownCommandLine tests the command line of a webhook of a later release: the program returns an error and does
// nothing, because the unknown part may be what makes the Pod safe.
func TestUnknownCommandLine(t *testing.T) {
	const remedy = ". The webhook that wrote it is of another release than this image, or it was written by hand: ask the admin to " +
		"make init.image the image of the webhook itself"
	t.Run("discover", func(t *testing.T) {
		skipUnlessRoot(t)
		homes, scratch := t.TempDir(), t.TempDir()
		makeHome(t, homes, "alice", 5001, 6001)
		for _, later := range []string{"--later=1", "--later", "--min-uids=1000"} {
			err := run(discoverArgs(homes, scratch, "alice", later))
			assert.EqualError(t, err, `jupyter-user-init dev does not know this command line: discover does not take "`+later+`"`+remedy)
			left, err := os.ReadDir(scratch)
			require.NoError(t, err)
			assert.Empty(t, left, "no file may be written")
		}
	})
	t.Run("exec", func(t *testing.T) {
		p := newPod(t)
		mark := filepath.Join(t.TempDir(), "started")
		output, err := p.exec(t, []string{searchPath}, []string{"--later=1"}, "touch", mark)
		assert.Error(t, err)
		assert.Equal(t, `jupyter-user-init: jupyter-user-init dev does not know this command line: exec does not take "--later=1"`+remedy+
			"\n", output)
		assert.NoFileExists(t, mark, "the command has not run")
	})
	t.Run("an unknown command", func(t *testing.T) {
		assert.EqualError(t, run([]string{"prepare", "--user=alice"}),
			`jupyter-user-init dev does not know this command line: "prepare" is neither discover nor exec`+remedy)
	})
}

func TestVersion(t *testing.T) {
	program := exec.Command("/proc/self/exe", "version")
	program.Env = []string{"BE_THE_PROGRAM=1"}
	output, err := program.CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "dev\n", string(output))
}
