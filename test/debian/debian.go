// Package debian unpacks Debian's packages into the cache, for tests. It installs nothing on the machine and starts no
// daemon.
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

// Unpacked unpacks the packages into the cache, unless the cache has them, and returns the folder with their files.
// The argument "packages" has one package per line, with its version in Debian bookworm, such as slapd=2.5.13*. On Debian
// bookworm a failed download fails the test. On any other system the test is skipped.
func Unpacked(t testing.TB, name, packages string) (root string) {
	t.Helper()
	if !IsBookworm() {
		t.Skipf("skipped: %s is unpacked from Debian 12's packages, and this is not Debian 12 (bookworm)", name)
	}
	root, err := Unpack(t.Context(), name, packages)
	require.NoError(t, err)
	return root
}

// IsBookworm reports whether this machine runs Debian 12 and has apt-get.
func IsBookworm() bool {
	release, err := os.ReadFile("/etc/os-release")
	_, noApt := exec.LookPath("apt-get")
	return err == nil && noApt == nil && strings.Contains(string(release), "VERSION_CODENAME=bookworm")
}

// Unpack is like Unpacked, but needs no test: it returns an error, and does not check that the system is Debian bookworm.
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

// unpack downloads the packages and unpacks them. The machine's package lists can be old or missing. If the download fails,
// unpack fetches package lists of its own into the folder of the downloads and tries once more.
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
	var output bytes.Buffer
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir, command.Stdout, command.Stderr = folder, &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, output.String())
	}
	return nil
}
