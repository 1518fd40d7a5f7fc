package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
)

// pip is Debian's program, even if a developer has another one in the PATH.
const pip = "/usr/bin/pip3"

// platforms has, for each GOARCH, the platform tags of the Python packages that run on Debian bookworm. A tag contains the
// version of the C library that a package needs, so each GOARCH has several tags.
var platforms = map[string][]string{
	"amd64": {"manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"},
	"arm64": {"manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"},
}

// debian returns a folder in which root.tar is Debian's root file system. The head of the script debian/bootstrap lists the
// other files of the folder.
func (b builder) debian(ctx context.Context) (string, error) {
	ingredients, err := listed("debian", b.images(), "debian/bootstrap", "debian/packages")
	if err != nil {
		return "", err
	}
	entry := cache.Entry{Name: "debian", Ingredients: ingredients, Result: "root.tar"}
	path, err := b.cache.Get(ctx, entry, func(ctx context.Context, folder string) error {
		if err := need("debootstrap"); err != nil {
			return err
		}
		return stage(b.progress, "debian", "bootstrapping", "bootstrapped", func() error {
			command := isolated(ctx, filepath.Join(b.images(), "debian", "bootstrap"))
			command.Dir = folder
			return run(command)
		})
	})
	return filepath.Dir(path), err
}

// wheels returns a folder with all Python packages of JupyterLab. They are fetched before the image's build, so the build needs
// no network, no certificates and no proxy.
func (b builder) wheels(ctx context.Context) (string, error) {
	pins := []string{"jupyterlab/requirements.txt", "jupyterlab/installer.txt"}
	ingredients, err := listed("wheels", b.images(), pins...)
	if err != nil {
		return "", err
	}
	if platforms[runtime.GOARCH] == nil {
		return "", fmt.Errorf("it is not known what Python's packages call %s: add it to test/e2e/images/parts.go", runtime.GOARCH)
	}
	entry := cache.Entry{Name: "wheels", Ingredients: ingredients, Result: "wheels"}
	return b.cache.Get(ctx, entry, func(ctx context.Context, folder string) error {
		if err := need(pip); err != nil {
			return err
		}
		return stage(b.progress, "wheels", "downloading", "downloaded", func() error {
			return b.download(ctx, filepath.Join(folder, "wheels"), pins)
		})
	})
}

func (b builder) download(ctx context.Context, folder string, pins []string) error {
	// The version is exactly that of bookworm, because not every package for Python 3.11 runs on 3.11.2.
	arguments := []string{pip, "download", "--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-deps",
		"--require-hashes", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11.2", "--dest=" + folder}
	for _, platform := range platforms[runtime.GOARCH] {
		arguments = append(arguments, "--platform="+platform)
	}
	for _, pin := range pins {
		arguments = append(arguments, "--requirement="+filepath.Join(b.images(), pin))
	}
	if err := run(isolated(ctx, arguments...)); err != nil {
		return err
	}
	for _, pin := range pins {
		// The pins are in the same folder, so that the build finds the hashes there too.
		text, err := os.ReadFile(filepath.Join(b.images(), pin))
		if err != nil {
			return fmt.Errorf("read what pins the packages: %w", err)
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(pin)), text, 0o644); err != nil {
			return fmt.Errorf("put the pins beside the packages: %w", err)
		}
	}
	return nil
}
