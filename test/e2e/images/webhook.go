package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
)

// webhook returns the path of the archive with the images Webhook and WebhookBefore. Both are built from the same sources.
func (b builder) webhook(ctx context.Context) (string, error) {
	files, err := b.sources()
	if err != nil {
		return "", err
	}
	settings, err := b.goSettings(ctx, "GOVERSION")
	if err != nil {
		return "", err
	}
	deciding := append([]string{"Dockerfile", ".dockerignore", "test/e2e/images/golang/Dockerfile"}, files...)
	ingredients, err := listed("webhook and the release before, "+settings[0], b.project, deciding...)
	if err != nil {
		return "", err
	}
	entry := cache.Entry{Name: "webhook", Ingredients: ingredients, Result: "webhook.tar"}
	return b.cache.Get(ctx, entry, func(ctx context.Context, folder string) error {
		if err := needRoot(); err != nil {
			return err
		}
		return b.buildWebhook(ctx, folder, []string{Webhook, WebhookBefore}, files)
	})
}

// buildWebhook builds the project's Dockerfile with golangBase in place of the Go image. Go, its modules and its build cache are
// mounted from this machine, so buildah takes seconds and needs no network. The tag of an image is its version.
func (b builder) buildWebhook(ctx context.Context, folder string, images, files []string, more ...string) error {
	settings, err := b.goSettings(ctx, "GOROOT", "GOMODCACHE", "GOCACHE")
	if err != nil {
		return err
	}
	if err := b.downloadModules(ctx); err != nil {
		return err
	}
	debian, err := b.debian(ctx)
	if err != nil {
		return err
	}
	w, err := newWorkshop(folder, b.progress)
	if err != nil {
		return err
	}
	// Debian's buildah does not support FROM --platform, and looks for golangBase among images of the target platform. So
	// golangBase claims the target platform, but its shell is for this machine.
	if err := w.build(ctx, golangBase, filepath.Join(b.images(), "golang", "Dockerfile"), debian, more...); err != nil {
		return err
	}
	// The build uses a copy of the files whose hashes are in the key. A developer can edit the originals during the build.
	source := filepath.Join(folder, "source")
	defer func() { _ = os.RemoveAll(source) }()
	if err := copyFiles(b.project, source, append([]string{"Dockerfile", ".dockerignore"}, files...)); err != nil {
		return err
	}
	arguments := append([]string{
		"--build-arg=BUILDER=" + golangBase,
		"--volume=" + settings[0] + ":/usr/local/go:ro",
		"--volume=" + settings[1] + ":/mnt/modules:ro",
		"--volume=" + settings[2] + ":/mnt/build",
	}, more...)
	for _, image := range images {
		_, version, _ := strings.Cut(image, ":")
		err := w.build(ctx, image, filepath.Join(source, "Dockerfile"), source, append(arguments, "--build-arg=VERSION="+version)...)
		if err != nil {
			return err
		}
	}
	if err := w.pack(ctx, filepath.Join(folder, "webhook.tar"), "gzip", images...); err != nil {
		return err
	}
	return w.close()
}

// downloadModules downloads every module that the build needs.
func (b builder) downloadModules(ctx context.Context) error {
	command := exec.CommandContext(ctx, "go", "mod", "download")
	command.Dir = b.project
	return run(command)
}

// sources lists the files that .dockerignore includes. It supports only the part of that file's language that we use: exclude all
// (*), include some (!path), exclude names anywhere (**/name). Any other line is an error, because it would give a wrong key.
func (b builder) sources() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(b.project, ".dockerignore"))
	if err != nil {
		return nil, fmt.Errorf("read what belongs to the image: %w", err)
	}
	var within, without []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		path, some := strings.CutPrefix(line, "!")
		name, anywhere := strings.CutPrefix(line, "**/")
		switch {
		case line == "" || line == "*":
		case some:
			within = append(within, path)
		case anywhere && !strings.Contains(name, "/"):
			without = append(without, name)
		default:
			return nil, fmt.Errorf("teach test/e2e/images/webhook.go the line %q of .dockerignore", line)
		}
	}
	return b.sourcesIn(within, without)
}

func (b builder) sourcesIn(within, without []string) ([]string, error) {
	all, err := filesIn(b.project, within...)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, file := range all {
		kept := true
		for _, name := range strings.Split(filepath.ToSlash(file), "/") {
			for _, pattern := range without {
				if matched, _ := filepath.Match(pattern, name); matched {
					kept = false
				}
			}
		}
		if kept {
			files = append(files, file)
		}
	}
	return files, nil
}

func copyFiles(from, to string, files []string) error {
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			return fmt.Errorf("copy the sources: %w", err)
		}
		path := filepath.Join(to, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("copy the sources: %w", err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return fmt.Errorf("copy the sources: %w", err)
		}
	}
	return nil
}
