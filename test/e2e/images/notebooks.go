package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
)

// The base images, which have no archive of their own.
const (
	debianBase     = "localhost/debian"
	jupyterlabBase = "localhost/jupyterlab"
	golangBase     = "localhost/golang"
)

// layers are the images of the notebooks' archive and their base images, except debianBase and Pause, which have their own steps
// in buildNotebooks. Each base comes before the images on it.
var layers = []struct{ folder, image string }{
	{"jupyterlab", jupyterlabBase},
	{"docker-stacks", DockerStacks},
	{"docker-stacks-2023", DockerStacks2023},
	{"docker-stacks-late-2023", DockerStacksLate2023},
	{"docker-stacks-foundation", DockerStacksFoundation},
	{"docker-stacks-child", DockerStacksChild},
	{"repo2docker", Repo2docker},
	{"z2jh", Z2JH},
	{"entrypoint", Entrypoint},
	{"plain", Plain},
	{"hostile", Hostile},
}

// notebooks returns the path of the archive that has all images except Webhook and WebhookBefore.
func (b builder) notebooks(ctx context.Context) (string, error) {
	folders := []string{"debian", "pause"}
	for _, layer := range layers {
		folders = append(folders, layer.folder)
	}
	files, err := filesIn(b.images(), folders...)
	if err != nil {
		return "", err
	}
	ingredients, err := listed("notebooks", b.images(), files...)
	if err != nil {
		return "", err
	}
	entry := cache.Entry{Name: "notebooks", Ingredients: ingredients, Result: "notebooks.tar"}
	return b.cache.Get(ctx, entry, b.buildNotebooks)
}

func (b builder) buildNotebooks(ctx context.Context, folder string) error {
	if err := needRoot(); err != nil {
		return err
	}
	debian, err := b.debian(ctx)
	if err != nil {
		return err
	}
	wheels, err := b.wheels(ctx)
	if err != nil {
		return err
	}
	w, err := newWorkshop(folder, b.progress)
	if err != nil {
		return err
	}
	if err := w.build(ctx, debianBase, filepath.Join(b.images(), "debian", "Dockerfile"), debian); err != nil {
		return err
	}
	for _, layer := range layers {
		err := w.build(ctx, layer.image, filepath.Join(b.images(), layer.folder, "Dockerfile"), b.images(),
			"--volume="+filepath.Join(debian, "debs")+":/mnt/debs:ro", "--volume="+wheels+":/mnt/wheels:ro")
		if err != nil {
			return err
		}
	}
	if err := b.buildPause(ctx, w); err != nil {
		return err
	}
	err = w.pack(ctx, filepath.Join(folder, "notebooks.tar"), "zstd", DockerStacks, DockerStacks2023, DockerStacksLate2023,
		DockerStacksFoundation, DockerStacksChild, Repo2docker, Z2JH, Entrypoint, Plain, Hostile, Pause)
	if err != nil {
		return err
	}
	// The list is for a developer who wants to know which Debian packages are in the images.
	if err := os.Link(filepath.Join(debian, "packages.txt"), filepath.Join(folder, "packages.txt")); err != nil {
		return fmt.Errorf("note Debian's packages: %w", err)
	}
	return w.close()
}

func (b builder) buildPause(ctx context.Context, w workshop) error {
	folder := filepath.Join(w.folder, "pause")
	defer func() { _ = os.RemoveAll(folder) }()
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
		"-o", filepath.Join(folder, "pause"), "./test/e2e/images/pause")
	command.Dir = b.project
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := run(command); err != nil {
		return err
	}
	return w.build(ctx, Pause, filepath.Join(b.images(), "pause", "Dockerfile"), folder)
}
