package node

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/uml"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// Base has files that several additional nodes share. The sharing saves time, because an emulated CPU takes a minute to
// unpack the images.
type Base struct {
	// Disk is the path of the disk with the images, for Options.Base.
	Disk string
	// Sandbox is the path of an archive with the sandbox image alone, for Options.Archives.
	Sandbox string
}

// recipeVersion is part of the key of the cache. Increase it when the build changes in a way that no other part of the key
// shows.
const recipeVersion = 1

const (
	baseDisk    = "disk"
	baseSandbox = "sandbox.tar"
)

// BuildBase returns a base with the images of the options. If the cache has no such base, BuildBase boots a machine that
// makes the base, in about two minutes.
func BuildBase(ctx context.Context, parts uml.Parts, o Options) (Base, error) {
	paths, err := tools.Build(ctx, o.Progress, tools.Containerd)
	if err != nil {
		return Base{}, err
	}
	folder, err := cache.Folder("uml")
	if err != nil {
		return Base{}, err
	}
	// Each path contains the key of the cache entry of its file. So the key of this entry changes if one of the files is
	// built again from other ingredients.
	ingredients := append([]string{
		fmt.Sprintf("recipe %d", recipeVersion), o.SandboxImage, parts.Kernel, paths[tools.Containerd],
	}, o.Archives...)
	entry := cache.Entry{Name: "base", Ingredients: strings.Join(ingredients, "\n"), Result: baseDisk}
	disk, err := cache.Cache{Folder: folder, Progress: o.Progress}.Get(ctx, entry, func(ctx context.Context, folder string) error {
		return fillBase(ctx, parts, o, folder)
	})
	return Base{Disk: disk, Sandbox: filepath.Join(filepath.Dir(disk), baseSandbox)}, err
}

func fillBase(ctx context.Context, parts uml.Parts, o Options, folder string) error {
	s, err := Boot(ctx, parts, Host{Name: "base", Address: "192.0.2.12", Range: "198.18.3.0/24"}, o)
	if err != nil {
		return err
	}
	if err := s.StartRuntime(ctx, o); err != nil {
		return err
	}
	if _, err := s.ctr(ctx, "images", "export", filepath.Join(sharedPath, baseSandbox), o.SandboxImage); err != nil {
		return err
	}
	if _, err := s.Script(ctx, endRuntime); err != nil {
		return err
	}
	disk, err := s.PowerOff(ctx)
	if err != nil {
		return err
	}
	for from, to := range map[string]string{disk: baseDisk, filepath.Join(s.shared, baseSandbox): baseSandbox} {
		copied := exec.CommandContext(ctx, "cp", "--sparse=always", from, filepath.Join(folder, to))
		if output, err := copied.CombinedOutput(); err != nil {
			return fmt.Errorf("keep the disk of a machine: %w: %s", err, output)
		}
	}
	return nil
}

// endRuntime is a script that ends the container runtime and waits for its end, so that the disk is consistent.
const endRuntime = `
	for process in /proc/[0-9]*; do
		[ "$(cat $process/comm 2>/dev/null)" = containerd ] || continue
		kill "${process#/proc/}"
		while [ -e "$process" ]; do sleep 0.1; done
	done
	rm -f /disk/containerd.log`
