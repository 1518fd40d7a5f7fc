package property

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/pod-security-admission/api"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// TestPodSecurityAdmissionsOwnPods tests the Pods with which Kubernetes itself tests Pod Security: those that pass and
// those that fail, of all versions. The test adds a user's label to each Pod. The admitted Pod must still meet the level of
// the submitted Pod. With discovery at start, baseline is enough in place of restricted. A Pod that several versions have
// is tested once.
func TestPodSecurityAdmissionsOwnPods(t *testing.T) {
	t.Parallel()
	module, err := project.Module(t.Context(), ".", "k8s.io/pod-security-admission")
	require.NoError(t, err)
	levels := newLevels(t)
	seen := map[string]bool{}
	admitted := map[api.Level]int{}
	fixtures := 0
	root := filepath.Join(module, "test", "testdata")
	require.NoError(t, filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".yaml" {
			return err
		}
		fixtures++
		text, err := os.ReadFile(file)
		if err != nil || seen[string(text)] {
			return err
		}
		seen[string(text)] = true
		var pod map[string]any
		if err := yaml.Unmarshal(text, &pod); err != nil {
			return err
		}
		metadata, _ := pod["metadata"].(map[string]any)
		labels, _ := metadata["labels"].(map[string]any)
		if labels == nil {
			labels = map[string]any{}
		}
		labels["jupyter-user"] = "alice"
		metadata["labels"] = labels
		raw := []byte(encode(t, pod))
		for _, condition := range conditions() {
			t.Run(condition.Name+"/"+strings.TrimSuffix(filepath.ToSlash(file[len(root)+1:]), ".yaml"), func(t *testing.T) {
				if testLevel(t, levels, condition, raw, withoutOurs) {
					testProperties(t, condition, raw)
					admitted[levels.OfPod(decoded(t, raw)).Meets]++
				}
			})
		}
		return nil
	}))
	assert.Greater(t, fixtures, 4000)
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline, api.LevelPrivileged} {
		assert.Greater(t, admitted[level], 20, "%s", level)
	}
	t.Logf("%d fixtures, %d of them different, admitted Pods by their level before: %v", fixtures, len(seen), admitted)
}
