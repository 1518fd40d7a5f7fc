// Package cache keeps what is slow to make and depends on nothing but its ingredients: tools, container images. It is keyed
// by content, so nothing in it ever needs to be refreshed by hand.
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
	// lockInterval is how often a waiting process looks whether it is its turn.
	lockInterval = 200 * time.Millisecond
	// unusedAfter is how long an entry that nobody asked for any more is kept. Long enough for branches that come and go;
	// each of them is a hundred megabytes.
	unusedAfter = 30 * 24 * time.Hour
	// partialSuffix marks a folder that is still being filled.
	partialSuffix = ".partial"
	// ingredientsFile is where an entry says what it was made from.
	ingredientsFile = "ingredients"
)

// A Cache is a folder of entries. There, an entry is the folder <name>-<key>, which comes into being complete, by a rename.
// The process that makes one holds the lock of the file <name>.lock, which ends with the process that holds it.
type Cache struct {
	Folder string
	// Progress is told who waits for whom; it may be nil.
	Progress io.Writer
}

// An Entry is one thing that is made from certain ingredients.
type Entry struct {
	// Name is what it is. Of one name, one is made at a time.
	Name string
	// Ingredients is everything that decides how it comes out, one thing a line, so that a user who wonders why something
	// is made again can compare two of them.
	Ingredients string
	// Result is the file or folder that it is made for. A folder without it is no entry, whatever its name.
	Result string
}

// Get returns where the entry's result lies. If it is not there, fill makes it in a folder, of which everything is kept.
func (c Cache) Get(ctx context.Context, e Entry, fill func(ctx context.Context, folder string) error) (string, error) {
	if c.present(e) {
		return c.path(e), nil
	}
	unlock, err := c.lock(ctx, e.Name)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Looked at again: whoever held the lock may have made the very same.
	if c.present(e) {
		return c.path(e), nil
	}
	return c.path(e), c.fill(ctx, e, fill)
}

// Find returns where the entry's result lies, and reports whether it is there.
func (c Cache) Find(e Entry) (string, bool) { return c.path(e), c.present(e) }

// Key shortens ingredients to what fits into a folder's name.
func Key(ingredients string) string {
	sum := sha256.Sum256([]byte(ingredients))
	return hex.EncodeToString(sum[:8])
}

func (c Cache) folder(e Entry) string { return filepath.Join(c.Folder, e.Name+"-"+Key(e.Ingredients)) }

func (c Cache) path(e Entry) string { return filepath.Join(c.folder(e), e.Result) }

// present says whether the entry is there, and notes that it was asked for.
func (c Cache) present(e Entry) bool {
	if _, err := os.Stat(c.path(e)); err != nil {
		return false
	}
	now := time.Now()
	// Only the removal of unused entries looks at this, and a cache that cannot be written removes nothing.
	_ = os.Chtimes(c.folder(e), now, now)
	return true
}

// lock waits until no other process makes something of that name, and says so.
func (c Cache) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(c.Folder, 0o755); err != nil {
		return nil, fmt.Errorf("create the cache, set %s to another folder: %w", Variable, err)
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

// fill makes an entry. It needs the name's lock: only then is every partial folder of that name one that a killed process
// left.
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
		return fmt.Errorf("write what it was built from: %w", err)
	}
	// Only a folder without the result in it can be in the way here.
	if err := os.RemoveAll(c.folder(e)); err != nil {
		return fmt.Errorf("make room for it: %w", err)
	}
	if err := os.Rename(partial, c.folder(e)); err != nil {
		return fmt.Errorf("put it into the cache: %w", err)
	}
	return c.removeUnused(e.Name)
}

// removePartial removes what killed processes left.
func (c Cache) removePartial(name string) error {
	return c.remove(name, func(folder fs.FileInfo) bool { return strings.HasSuffix(folder.Name(), partialSuffix) })
}

// removeUnused removes what there is under other keys, if it is long since anybody asked for it.
func (c Cache) removeUnused(name string) error {
	return c.remove(name, func(folder fs.FileInfo) bool { return time.Since(folder.ModTime()) > unusedAfter })
}

// remove removes those folders of a name that are condemned. It needs the name's lock.
func (c Cache) remove(name string, condemned func(fs.FileInfo) bool) error {
	entries, err := os.ReadDir(c.Folder)
	if err != nil {
		return fmt.Errorf("list the cache: %w", err)
	}
	for _, entry := range entries {
		key, ours := strings.CutPrefix(entry.Name(), name+"-")
		// A key has no dash in it. With one, it is of a longer name that begins with this one, and under another lock.
		if !ours || strings.Contains(key, "-") {
			continue
		}
		info, err := entry.Info()
		if err != nil || !condemned(info) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.Folder, entry.Name())); err != nil {
			return fmt.Errorf("clean the cache: %w", err)
		}
	}
	return nil
}
