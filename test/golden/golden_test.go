package golden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// TestGolden compares the outcome of each case with its golden file.
func TestGolden(t *testing.T) {
	cases, err := Cases()
	require.NoError(t, err)
	expected := map[string]bool{}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			file, content := outcome(t, c)
			expected[file] = true
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(filepath.Join("testdata", file), []byte(content), 0o644))
				return
			}
			want, err := os.ReadFile(filepath.Join("testdata", file))
			require.NoError(t, err, "the golden file is missing: UPDATE_GOLDEN=1 writes it")
			assert.Equal(t, string(want), content)
		})
	}
	removeOrReportOrphans(t, expected)
}

func outcome(t *testing.T, c Case) (file, content string) {
	t.Helper()
	d := c.Decide(c.JSON)
	var b strings.Builder
	if len(d.Denials) > 0 {
		b.WriteString(denial.Join(d.Denials) + "\n")
		for _, w := range d.Warnings {
			b.WriteString("Warning: " + w + "\n")
		}
		return c.Name + ".denied.txt", b.String()
	}
	for _, w := range d.Warnings {
		b.WriteString("# Warning: " + w + "\n")
	}
	admitted, err := pod.Apply(c.JSON, d.Operations)
	require.NoError(t, err)
	text, err := yaml.JSONToYAML(admitted)
	require.NoError(t, err)
	b.Write(text)
	return c.Name + ".admitted.yaml", b.String()
}

// removeOrReportOrphans fails for each golden file that is not the outcome of any case. With UPDATE_GOLDEN it removes the
// file and does not fail.
func removeOrReportOrphans(t *testing.T, expected map[string]bool) {
	t.Helper()
	files, err := os.ReadDir("testdata")
	require.NoError(t, err)
	for _, f := range files {
		isOutcome := strings.HasSuffix(f.Name(), ".admitted.yaml") || strings.HasSuffix(f.Name(), ".denied.txt")
		switch {
		case !isOutcome || expected[f.Name()]:
		case os.Getenv("UPDATE_GOLDEN") != "":
			require.NoError(t, os.Remove(filepath.Join("testdata", f.Name())))
		default:
			t.Errorf("testdata/%s is not the outcome of any case: UPDATE_GOLDEN=1 removes it", f.Name())
		}
	}
}
