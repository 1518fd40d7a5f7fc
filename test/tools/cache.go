package tools

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
)

// A builder builds tools into a cache.
type builder struct {
	// modules is the folder that has the tools' modules, each in its own folder.
	modules string
	// cache is the folder in which built tools are kept.
	cache string
	// recipes has the tools that can be built.
	recipes map[Tool]recipe
	// command is the name or the path of the go command.
	command string
	// progress gets lines about a build or a download while it runs.
	progress io.Writer
	// patience is the longest time in which a download may receive nothing.
	patience time.Duration
	// setupEnvtest is the path of setup-envtest. If it is empty, the builder builds setup-envtest.
	setupEnvtest string
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
	entry := cache.Entry{Name: string(tool), Ingredients: ingredients, Result: string(tool)}
	compile := func(ctx context.Context, folder string) error { return b.compile(ctx, r, tool, folder) }
	return cache.Cache{Folder: b.cache, Progress: b.progress}.Get(ctx, entry, compile)
}
