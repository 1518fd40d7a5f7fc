package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// golden compares a text with a file of testdata. If UPDATE_GOLDEN is 1, it first writes the text to the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "write it with UPDATE_GOLDEN=1")
	assert.Equal(t, string(want), got, "if the change is meant, write it with UPDATE_GOLDEN=1")
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}

func TestDefaultsEqualGoldenFile(t *testing.T) {
	got, err := config.Default().YAML()
	require.NoError(t, err)
	golden(t, "testdata/defaults.yaml", string(got))

	parsed, err := config.Parse(got)
	require.NoError(t, err)
	assert.Equal(t, config.Default(), parsed)
}

func TestInvalidFiles(t *testing.T) {
	inputs, err := filepath.Glob("testdata/invalid/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".yaml"), func(t *testing.T) {
			c, err := config.Parse([]byte(read(t, input)))
			require.Error(t, err)
			assert.Nil(t, c)
			golden(t, strings.TrimSuffix(input, ".yaml")+".errors", err.Error()+"\n")
		})
	}
}

func TestInvalidFilesAreComplete(t *testing.T) {
	outputs, err := filepath.Glob("testdata/invalid/*")
	require.NoError(t, err)
	for _, output := range outputs {
		base := strings.TrimSuffix(strings.TrimSuffix(output, ".errors"), ".yaml")
		assert.FileExists(t, base+".yaml", "%s is an orphan", output)
		assert.FileExists(t, base+".errors", "%s has no golden file", output)
	}
}
