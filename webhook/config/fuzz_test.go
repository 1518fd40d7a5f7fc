package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// FuzzParse tests that Parse returns a configuration or errors, and that an accepted configuration is valid and does not
// change when it is written and read again.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/invalid/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse(data)
		if err != nil {
			assert.Nil(t, c)
			assert.NotEmpty(t, err.Error())
			return
		}
		assert.Empty(t, c.Validate())
		written, err := c.YAML()
		require.NoError(t, err)
		again, err := config.Parse(written)
		require.NoError(t, err, "%s", written)
		assert.Equal(t, c.Generation(), again.Generation())
	})
}
