// Package debian unpacks Debian's packages for tests, into the cache. Nothing is installed and no daemon is started on the machine.
package debian

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
)

// Unpacked returns the folder below which the packages are unpacked. They are listed one a line, pinned to the version that Debian
// bookworm has. A test is skipped only where they cannot be: on a system that is not Debian bookworm, for which the packages are. There
// a package that cannot be downloaded is a failure, as a Go module is.
func Unpacked(t testing.TB, name, packages string) (root string) {
	t.Helper()
	if !Here() {
		t.Skipf("skipped: %s is unpacked from Debian 12's packages, and this is not Debian 12 (bookworm)", name)
	}
	root, err := Unpack(t.Context(), name, packages)
	require.NoError(t, err)
	return root
}

// Here reports whether this machine is Debian 12, which the packages are for.
func Here() bool {
	release, err := os.ReadFile("/etc/os-release")
	_, noApt := exec.LookPath("apt-get")
	return err == nil && noApt == nil && strings.Contains(string(release), "VERSION_CODENAME=bookworm")
}

// Unpack is Unpacked for a program that fails where a test is skipped.
func Unpack(ctx context.Context, name, packages string) (root string, err error) {
	folder, err := cache.Folder("debian")
	if err != nil {
		return "", err
	}
	root, err = cache.Cache{Folder: folder, Progress: os.Stderr}.Get(ctx, cache.Entry{
		Name: name, Ingredients: runtime.GOARCH + "\n" + packages, Result: "root",
	}, func(ctx context.Context, folder string) error { return unpack(ctx, folder, strings.Fields(packages)) })
	if err != nil {
		return "", fmt.Errorf("unpack Debian's %s into the cache: %w", name, err)
	}
	return root, nil
}

// unpack downloads the packages and unpacks them. What apt knows of the archive may be old, or nothing on a machine on which
// nobody has been root: then a list of its own, beside the packages, is fetched.
func unpack(ctx context.Context, folder string, packages []string) error {
	downloads := filepath.Join(folder, "downloads")
	if err := os.MkdirAll(filepath.Join(downloads, "lists", "partial"), 0o755); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(downloads) }()
	if run(ctx, downloads, "apt-get", append([]string{"-q", "download"}, packages...)...) != nil {
		own := []string{
			"-q", "-o", "Dir::State=" + downloads, "-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Dir::Cache=" + downloads,
			"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=",
		}
		if err := run(ctx, downloads, "apt-get", append(own, "update")...); err != nil {
			return err
		}
		if err := run(ctx, downloads, "apt-get", append(append(own, "download"), packages...)...); err != nil {
			return err
		}
	}
	archives, err := filepath.Glob(filepath.Join(downloads, "*.deb"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := run(ctx, downloads, "dpkg-deb", "--extract", archive, filepath.Join(folder, "root")); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, folder, program string, arguments ...string) error {
	var said bytes.Buffer
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir, command.Stdout, command.Stderr = folder, &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, said.String())
	}
	return nil
}
