package property

import (
	"encoding/json"
	"math/rand"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// The list escapes has parts of hostile names, for example texts that end a quoted string in a shell or leave a
// directory.
var escapes = []string{
	"..", "../", "/", `\`, ".", "~", "$(id)", "`id`", "$HOME", "$(NB_USER)", "$$", ";", "|", "&", "'", `"`, " ", "\t", "\n", "\r\n", "\x00",
	"\x1b]0;", ":", ",", "=", "--", "-", "@", "@corp.example", "%s", "%2e%2e%2f", "{{.}}", "<!--", "*", "?", "#", "root", "ROOT", "jovyan",
	"alice", "bob", "a", "Z", "0", "65534", "_", "\u0430", "\uff0e\uff0e\uff0f", "\u202e", "\u200b", "ä", "😀", strings.Repeat("a", 64),
}

// validName matches valid user names. It is written from the documentation, and does not use the webhook's code.
var validName = regexp.MustCompile(`\A[a-z_][a-z0-9._-]{0,31}\z`)

// TestHostileNames gives Pods ten thousand random user names, half by the label and half by KubeSpawner's annotation.
// Each admitted name must match validName, and every injected path, command and value must contain exactly this name. For
// all other names the webhook injects nothing.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	const each = 5000
	random := rand.New(rand.NewSource(1)) // the same names each time
	admitted := 0
	for _, byLabel := range []bool{true, false} {
		for range each {
			var text strings.Builder
			for range 1 + random.Intn(4) {
				text.WriteString(escapes[random.Intn(len(escapes))])
			}
			for _, condition := range conditions() {
				if testName(t, condition, text.String(), byLabel) {
					admitted++
				}
			}
		}
	}
	assert.Greater(t, admitted, 50, "some of the random names must be harmless")
	t.Logf("%d of %d admitted", admitted, 4*each)
}

// testName tests the decision about a Pod whose user has this name, and reports whether the Pod was admitted.
func testName(t *testing.T, condition golden.Case, name string, byLabel bool) bool {
	t.Helper()
	raw := podWithName(t, name, byLabel)
	d := condition.Decide(raw)
	if len(d.Denials) > 0 {
		assert.Empty(t, d.Operations, "%q", name)
		return false
	}
	require.Regexp(t, validName, name)
	after, err := pod.Apply(raw, d.Operations)
	require.NoError(t, err)
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(after, pod))
	checkInjected(t, condition, pod)
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, m := range c.VolumeMounts {
			assert.Equal(t, path.Clean(m.MountPath), m.MountPath)
			assert.Equal(t, path.Clean("/"+m.SubPath), "/"+m.SubPath)
		}
	}
	// Except for the name, the operations are the same as the operations for a name that occurs nowhere else in a Pod.
	const unique = "zzyzx"
	operations := encode(t, condition.Decide(podWithName(t, unique, byLabel)).Operations)
	assert.Equal(t, strings.ReplaceAll(operations, unique, name), encode(t, d.Operations))
	return true
}

func podWithName(t *testing.T, name string, byLabel bool) []byte {
	t.Helper()
	metadata := map[string]any{"name": "nb", "labels": map[string]any{"jupyter-user": name}}
	if !byLabel {
		metadata["labels"] = map[string]any{"hub.jupyter.org/username": "slug", "component": "singleuser-server"}
		metadata["annotations"] = map[string]any{"hub.jupyter.org/username": name}
	}
	return []byte(encode(t, map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": map[string]any{
		"containers": []any{map[string]any{"name": "nb", "image": "notebook"}},
	}}))
}
