// Package cache keeps the results of slow builds, such as tools and container images. The key of a result is a hash of all
// inputs of its build, here called ingredients. So a developer never has to delete an outdated result.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

const (
	// lockInterval is the time between two attempts to take a lock.
	lockInterval = 200 * time.Millisecond
	// unusedAfter is the time for which an unused entry is kept: long enough to come back to a branch. After this time, the next
	// build of the same name removes the entry, because an entry can take a hundred megabytes of disk.
	unusedAfter = 30 * 24 * time.Hour
	// partialSuffix ends the name of the folder of a build that has not ended.
	partialSuffix = ".partial"
	// ingredientsFile is the name of the file, in each entry, that has the ingredients of the entry.
	ingredientsFile = "ingredients"
)

// A Cache is a folder of entries. Each entry is a folder with the name <name>-<key>. While a build fills this folder, the
// folder has a name with the suffix .partial. The process that builds an entry locks the file <name>.lock. The kernel
// releases the lock when the process ends.
type Cache struct {
	Folder string
	// Progress gets lines while this process waits for another process, which builds an entry of the same name. Progress may be nil.
	Progress io.Writer
}

// An Entry describes one build and its result.
type Entry struct {
	// Name is the name of the thing that is built. Only one build of a name runs at a time.
	Name string
	// Ingredients lists every input of the build, one per line. If a build runs although the cache has an earlier result,
	// the lines that differ between the earlier and the new ingredients show why.
	Ingredients string
	// Result is the path, inside the entry's folder, of the wanted file or folder. If this file or folder does not exist,
	// the cache does not have the entry.
	Result string
}

// Get returns the path of the entry's result. If the cache does not have the entry, Get calls the function "fill" with an
// empty folder, and keeps all that the function writes there.
func (c Cache) Get(ctx context.Context, e Entry, fill func(ctx context.Context, folder string) error) (string, error) {
	if c.present(e) {
		return c.path(e), nil
	}
	unlock, err := c.lock(ctx, e.Name)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another process may have built the entry while this process waited for the lock.
	if c.present(e) {
		return c.path(e), nil
	}
	return c.path(e), c.fill(ctx, e, fill)
}

// Find returns the path of the entry's result, and reports whether the cache has the entry.
func (c Cache) Find(e Entry) (string, bool) { return c.path(e), c.present(e) }

// Key returns a hash of the ingredients that is short enough for the name of a folder.
func Key(ingredients string) string {
	sum := sha256.Sum256([]byte(ingredients))
	return hex.EncodeToString(sum[:8])
}

func (c Cache) folder(e Entry) string { return filepath.Join(c.Folder, e.Name+"-"+Key(e.Ingredients)) }

func (c Cache) path(e Entry) string { return filepath.Join(c.folder(e), e.Result) }

// present reports whether the cache has the entry. If the cache has it, present also sets the entry's time of last use.
func (c Cache) present(e Entry) bool {
	if _, err := os.Stat(c.path(e)); err != nil {
		return false
	}
	now := time.Now()
	// Chtimes fails if the cache is read-only. This does not matter, because only removeUnused reads the time, and it
	// removes nothing from a read-only cache.
	_ = os.Chtimes(c.folder(e), now, now)
	return true
}

// lock takes the lock of a name, and returns a function that releases the lock. While another process has the lock, the
// method waits and writes to Progress.
func (c Cache) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(c.Folder, 0o755); err != nil {
		return nil, fmt.Errorf("create the cache, set %s to another folder: %w", variable, err)
	}
	lock := flock.New(filepath.Join(c.Folder, name+".lock"))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		m := progress.Start(c.Progress, name, "waiting for another process that builds it")
		_, err = lock.TryLockContext(ctx, lockInterval)
		m.End("")
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	return func() { _ = lock.Close() }, nil
}

// fill builds an entry. The caller must hold the lock of the name, so every partial folder of that name is left over from a
// process that was killed.
func (c Cache) fill(ctx context.Context, e Entry, fill func(context.Context, string) error) error {
	if err := c.removePartial(e.Name); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(c.Folder, e.Name+"-*"+partialSuffix)
	if err != nil {
		return fmt.Errorf("create a folder to build into: %w", err)
	}
	defer func() { _ = os.RemoveAll(partial) }()
	if err := fill(ctx, partial); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(partial, ingredientsFile), []byte(e.Ingredients), 0o644); err != nil {
		return fmt.Errorf("write the ingredients: %w", err)
	}
	// If the entry's folder exists, it lacks the result. With the result, Get would not have called fill.
	if err := os.RemoveAll(c.folder(e)); err != nil {
		return fmt.Errorf("remove an incomplete entry of the cache: %w", err)
	}
	if err := os.Rename(partial, c.folder(e)); err != nil {
		return fmt.Errorf("put it into the cache: %w", err)
	}
	return c.removeUnused(e.Name)
}

func (c Cache) removePartial(name string) error {
	return c.remove(name, func(folder fs.FileInfo) bool { return strings.HasSuffix(folder.Name(), partialSuffix) })
}

func (c Cache) removeUnused(name string) error {
	return c.remove(name, func(folder fs.FileInfo) bool { return time.Since(folder.ModTime()) > unusedAfter })
}

// remove removes those folders of a name for which the function "unwanted" returns true. The caller must hold the lock of
// the name.
func (c Cache) remove(name string, unwanted func(fs.FileInfo) bool) error {
	entries, err := os.ReadDir(c.Folder)
	if err != nil {
		return fmt.Errorf("list the cache: %w", err)
	}
	for _, entry := range entries {
		key, ours := strings.CutPrefix(entry.Name(), name+"-")
		// A key has no dash. If the rest of the folder's name has a dash, the folder belongs to a longer name, which has
		// another lock.
		if !ours || strings.Contains(key, "-") {
			continue
		}
		info, err := entry.Info()
		if err != nil || !unwanted(info) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.Folder, entry.Name())); err != nil {
			return fmt.Errorf("clean the cache: %w", err)
		}
	}
	return nil
}
