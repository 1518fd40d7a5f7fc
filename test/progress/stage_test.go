package progress

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStage(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Stage(&out, "kubelet", func() error { return nil }))
	fault := errors.New("no")
	assert.Equal(t, fault, Stage(&out, "images", func() error { return fault }))
	assert.Equal(t, "    0.0 s  kubelet\n    0.0 s  images  FAILED\n", out.String())
	assert.Equal(t, fault, Stage(nil, "images", func() error { return fault }))
}

func TestEnds(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"etcd.log": "ready\n", "empty.log": "", "long.log": string(bytes.Repeat([]byte("x"), 5000))} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	in := func(name string) string { return filepath.Join(folder, name) }
	assert.Equal(t, "the end of etcd.log:\nready", Ends(in("empty.log"), in("etcd.log"), in("missing.log")))
	assert.Len(t, Ends(in("long.log")), len("the end of long.log:\n")+3000)
}
