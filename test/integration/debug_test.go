package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKubectlDebugAsDenialDescribes tests that the denial of a kubectl debug names a profile and the content of a file.
// With exactly these, kubectl debug is admitted.
func TestKubectlDebugAsDenialDescribes(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "debug", "baseline")
	require.NoError(t, c.Allow(t.Context(), "debug", c.carol, withPods))
	c.run(t, "debug", "nb", "--labels=jupyter-user=alice")
	debug := func(pod string, more ...string) (int, string) {
		result := c.kubectl(t, append([]string{"debug", pod, "-n", "debug", "--image=quay.io/jupyter/minimal-notebook", "--target=" + pod, "--attach=false"}, more...)...)
		return result.ExitCode, result.Stderr
	}
	code, said := debug("nb", "--profile=restricted")
	require.NotZero(t, code)
	told := regexp.MustCompile(`DebugIdentity: .*use kubectl debug (--profile=\S+) --custom=<file> with the file (\{.*\}\})`).
		FindStringSubmatch(said)
	require.Len(t, told, 3, said)
	file := filepath.Join(t.TempDir(), "custom.json")
	require.NoError(t, os.WriteFile(file, []byte(told[2]), 0o600))
	code, said = debug("nb", told[1], "--custom="+file)
	require.Zero(t, code, said)
	_, pod := c.get(t, "debug", "nb")
	require.Len(t, pod.Spec.EphemeralContainers, 1)
	assert.Equal(t, int64(5001), *pod.Spec.EphemeralContainers[0].SecurityContext.RunAsUser)
	assert.Equal(t, int64(6001), *pod.Spec.EphemeralContainers[0].SecurityContext.RunAsGroup)

	c.run(t, "debug", "found", "--labels=jupyter-user=qiang.guo03")
	code, said = debug("found", told[1], "--custom="+file)
	require.NotZero(t, code)
	assert.Contains(t, said, "found at start and not known here, so no container can be added to it: use kubectl exec")
}
