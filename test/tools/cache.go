package tools

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lockInterval is how often a waiting process looks whether it is its turn.
	lockInterval = 200 * time.Millisecond
	// unusedAfter is how long a program that nobody asked for any more is kept. Long enough for branches that come and
	// go; each of them is a hundred megabytes.
	unusedAfter = 30 * 24 * time.Hour
	// partialSuffix marks a folder that is still being filled.
	partialSuffix = ".partial"
)

// A builder builds tools into a cache. There, a tool is the folder <tool>-<key>, which comes into being complete, by a
// rename. Whoever builds a tool holds the lock of the file <tool>.lock, which ends with the process that holds it.
type builder struct {
	// modules is the folder with the tools' modules.
	modules string
	// cache is the folder that tools are built into.
	cache string
	// recipes are those of the tools that can be built.
	recipes map[Tool]recipe
	// command is the go command.
	command string
	// progress is told what goes on, where it takes long.
	progress io.Writer
}

func (b *builder) buildAll(ctx context.Context, wanted []Tool) (Paths, error) {
	paths := Paths{}
	for _, tool := range wanted {
		path, err := b.build(ctx, tool)
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", tool, err)
		}
		paths[tool] = path
	}
	return paths, nil
}

func (b *builder) build(ctx context.Context, tool Tool) (string, error) {
	r, ok := b.recipes[tool]
	if !ok {
		return "", fmt.Errorf("there is no such tool: choose from %v", slices.Sorted(maps.Keys(b.recipes)))
	}
	ingredients, err := b.ingredients(ctx, r)
	if err != nil {
		return "", err
	}
	e := entry{tool: tool, folder: filepath.Join(b.cache, string(tool)+"-"+keyOf(ingredients))}
	if e.present() {
		return e.path(), nil
	}
	unlock, err := b.lock(ctx, tool)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Looked at again: whoever held the lock may have built the very same.
	if e.present() {
		return e.path(), nil
	}
	return e.path(), b.fill(ctx, r, e, ingredients)
}

// lock waits until no other process builds the tool, and says so.
func (b *builder) lock(ctx context.Context, tool Tool) (unlock func(), err error) {
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return nil, fmt.Errorf("create the cache, set %s to another folder: %w", cacheVariable, err)
	}
	lock := flock.New(filepath.Join(b.cache, string(tool)+".lock"))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		m := startMeter(b.progress, tool, "waiting for another process that builds it")
		_, err = lock.TryLockContext(ctx, lockInterval)
		m.end("")
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	return func() { _ = lock.Close() }, nil
}

// fill builds an entry. It needs the tool's lock: only then is every partial folder of the tool one that a killed
// process left.
func (b *builder) fill(ctx context.Context, r recipe, e entry, ingredients string) error {
	if err := b.removePartial(e.tool); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(b.cache, string(e.tool)+"-*"+partialSuffix)
	if err != nil {
		return fmt.Errorf("create a folder to build into: %w", err)
	}
	defer func() { _ = os.RemoveAll(partial) }()
	if err := b.compile(ctx, r, e.tool, partial); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(partial, "ingredients"), []byte(ingredients), 0o644); err != nil {
		return fmt.Errorf("write what it was built from: %w", err)
	}
	// Only a folder without the program in it can be in the way here.
	if err := os.RemoveAll(e.folder); err != nil {
		return fmt.Errorf("make room for it: %w", err)
	}
	if err := os.Rename(partial, e.folder); err != nil {
		return fmt.Errorf("put it into the cache: %w", err)
	}
	return b.removeUnused(e.tool)
}

// removePartial removes what killed builds of the tool left.
func (b *builder) removePartial(tool Tool) error {
	return b.remove(tool, func(folder fs.FileInfo) bool { return strings.HasSuffix(folder.Name(), partialSuffix) })
}

// removeUnused removes what the tool was under other keys, if it is long since anybody asked for it.
func (b *builder) removeUnused(tool Tool) error {
	return b.remove(tool, func(folder fs.FileInfo) bool { return time.Since(folder.ModTime()) > unusedAfter })
}

// remove removes those folders of a tool that are condemned. It needs the tool's lock.
func (b *builder) remove(tool Tool, condemned func(fs.FileInfo) bool) error {
	entries, err := os.ReadDir(b.cache)
	if err != nil {
		return fmt.Errorf("list the cache: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !strings.HasPrefix(entry.Name(), string(tool)+"-") || !condemned(info) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(b.cache, entry.Name())); err != nil {
			return fmt.Errorf("clean the cache: %w", err)
		}
	}
	return nil
}

// An entry is one tool under one key.
type entry struct {
	tool   Tool
	folder string
}

func (e entry) path() string { return filepath.Join(e.folder, string(e.tool)) }

// present says whether the tool is there, and notes that it was asked for.
func (e entry) present() bool {
	info, err := os.Stat(e.path())
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	now := time.Now()
	// Only the removal of unused entries looks at this, and a cache that cannot be written removes nothing.
	_ = os.Chtimes(e.folder, now, now)
	return true
}
