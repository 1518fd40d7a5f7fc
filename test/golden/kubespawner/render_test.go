package kubespawner

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
)

const corpus = "../testdata"

// TestRenderedCorpus renders the Pods and compares them with the committed files. It needs installed JupyterHubs (see package
// hub), so make e2e runs it and make test does not. make kubespawner runs it with UPDATE_GOLDEN=1. Then the test writes the
// files.
func TestRenderedCorpus(t *testing.T) {
	if os.Getenv("E2E") == "" {
		t.Skip("skipped: this test needs an installed JupyterHub. make e2e and make kubespawner run it")
	}
	for version, release := range map[string]hub.Release{"6": hub.KubeSpawner6, "7": hub.KubeSpawner7} {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			rendered := render(t, version, release)
			committed := read(t, corpus, version)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				write(t, committed, rendered)
				return
			}
			for name := range committed {
				assert.Contains(t, rendered, name, "no case of matrix.py renders this file")
			}
			for name, text := range rendered {
				assert.Equal(t, text, committed[name], "%s: make kubespawner writes it", name)
			}
		})
	}
}

// render returns the Pods of one version of KubeSpawner, by file name.
func render(t *testing.T, version string, release hub.Release) map[string]string {
	t.Helper()
	programs, err := hub.Build(t.Context(), os.Stderr, release)
	require.NoError(t, err)
	folder := t.TempDir()
	output, err := exec.CommandContext(t.Context(), programs.Python, "-B", "render.py", version, folder).CombinedOutput()
	require.NoError(t, err, string(output))
	return read(t, folder, version)
}

// read returns the Pods of one version of KubeSpawner in a folder, by file name. It leaves out the .admitted.yaml files,
// which the golden test writes there.
func read(t *testing.T, folder, version string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "kubespawner-"+version+"-*.yaml"))
	require.NoError(t, err)
	texts := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, ".admitted.yaml") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		texts[filepath.Base(file)] = string(text)
	}
	require.NotEmpty(t, texts)
	return texts
}

func write(t *testing.T, committed, rendered map[string]string) {
	t.Helper()
	for name := range committed {
		if _, ok := rendered[name]; !ok {
			require.NoError(t, os.Remove(filepath.Join(corpus, name)))
		}
	}
	for name, text := range rendered {
		require.NoError(t, os.WriteFile(filepath.Join(corpus, name), []byte(text), 0o644))
	}
}
