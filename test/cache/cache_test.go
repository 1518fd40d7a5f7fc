package cache

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var bread = Entry{Name: "bread", Ingredients: "flour\nwater\n", Result: "loaf"}

func bake(_ context.Context, folder string) error {
	return os.WriteFile(filepath.Join(folder, "loaf"), []byte("crisp"), 0o644)
}

func mustNotFill(context.Context, string) error { return errors.New("it was made again") }

func names(t *testing.T, c Cache) []string {
	t.Helper()
	entries, err := os.ReadDir(c.Folder)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestGetFillsOnce(t *testing.T) {
	c := Cache{Folder: t.TempDir()}
	path, err := c.Get(t.Context(), bread, bake)
	require.NoError(t, err)
	assert.FileExists(t, path)
	ingredients, err := os.ReadFile(filepath.Join(filepath.Dir(path), "ingredients"))
	require.NoError(t, err)
	assert.Equal(t, bread.Ingredients, string(ingredients))

	again, err := c.Get(t.Context(), bread, mustNotFill)
	require.NoError(t, err)
	assert.Equal(t, path, again)

	other := bread
	other.Ingredients = "rye\nwater\n"
	_, err = c.Get(t.Context(), other, mustNotFill)
	require.EqualError(t, err, "it was made again")
	assert.Len(t, names(t, c), 2, "one entry and its lock: a failure leaves nothing")
}

func TestPartialFolderIsRemoved(t *testing.T) {
	c := Cache{Folder: t.TempDir()}
	partial := filepath.Join(c.Folder, "bread-123"+partialSuffix)
	require.NoError(t, os.MkdirAll(partial, 0o755))
	// The folder of an entry with another name, which another process may be filling now.
	longer := filepath.Join(c.Folder, "bread-with-seeds-123"+partialSuffix)
	require.NoError(t, os.MkdirAll(longer, 0o755))
	// A folder with the name of an entry, but without its result.
	require.NoError(t, os.MkdirAll(filepath.Join(c.folder(bread), "rest"), 0o755))

	path, err := c.Get(t.Context(), bread, bake)
	require.NoError(t, err)
	assert.FileExists(t, path)
	assert.NoDirExists(t, partial)
	assert.DirExists(t, longer)
}

func TestUnusedEntriesAreRemoved(t *testing.T) {
	c := Cache{Folder: t.TempDir()}
	old, recent := filepath.Join(c.Folder, "bread-old"), filepath.Join(c.Folder, "bread-recent")
	other, longer := filepath.Join(c.Folder, "breadth-old"), filepath.Join(c.Folder, "bread-with-seeds")
	long := time.Now().Add(-2 * unusedAfter)
	for _, folder := range []string{old, recent, other, longer} {
		require.NoError(t, os.MkdirAll(folder, 0o755))
		require.NoError(t, os.Chtimes(folder, long, long))
	}
	require.NoError(t, os.Chtimes(recent, time.Now(), time.Now()))

	_, err := c.Get(t.Context(), bread, bake)
	require.NoError(t, err)
	assert.NoDirExists(t, old)
	assert.DirExists(t, recent)
	assert.DirExists(t, other, "of another name")
	assert.DirExists(t, longer, "of another name that begins with this one")
}

// A cancelingWriter calls cancel when something is written to it.
type cancelingWriter struct {
	written bytes.Buffer
	cancel  func()
}

func (i *cancelingWriter) Write(data []byte) (int, error) {
	i.cancel()
	return i.written.Write(data)
}

func TestProgressWhileWaitingForLock(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelingWriter{cancel: cancel}
	c := Cache{Folder: t.TempDir(), Progress: out}
	unlock, err := c.lock(t.Context(), bread.Name)
	require.NoError(t, err)
	defer unlock()

	_, err = c.Get(ctx, bread, mustNotFill)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "bread  waiting for another process that builds it\n", out.written.String())
}

func TestFolderFromEnvironment(t *testing.T) {
	t.Setenv(variable, "elsewhere")
	folder, err := Folder("tools")
	require.NoError(t, err)
	here, err := os.Getwd()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(here, "elsewhere", "tools"), folder)

	t.Setenv(variable, "")
	folder, err = Folder("images")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join("jupyter-user-webhook", "images"), filepath.Join(
		filepath.Base(filepath.Dir(folder)), filepath.Base(folder)))
}
