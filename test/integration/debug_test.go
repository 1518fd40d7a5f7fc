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
// With exactly this profile and this file, kubectl debug is admitted.
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
	code, message := debug("nb", "--profile=restricted")
	require.NotZero(t, code)
	match := regexp.MustCompile(`DebugIdentity: .*use kubectl debug (--profile=\S+) --custom=<file> with the file (\{.*\}\})`).
		FindStringSubmatch(message)
	require.Len(t, match, 3, message)
	file := filepath.Join(t.TempDir(), "custom.json")
	require.NoError(t, os.WriteFile(file, []byte(match[2]), 0o600))
	code, message = debug("nb", match[1], "--custom="+file)
	require.Zero(t, code, message)
	_, pod := c.get(t, "debug", "nb")
	require.Len(t, pod.Spec.EphemeralContainers, 1)
	assert.Equal(t, int64(5001), *pod.Spec.EphemeralContainers[0].SecurityContext.RunAsUser)
	assert.Equal(t, int64(6001), *pod.Spec.EphemeralContainers[0].SecurityContext.RunAsGroup)

	c.run(t, "debug", "found", "--labels=jupyter-user=qiang.guo03")
	code, message = debug("found", match[1], "--custom="+file)
	require.NotZero(t, code)
	assert.Contains(t, message, "found at start and not known here, so no container can be added to it: use kubectl exec")
}
