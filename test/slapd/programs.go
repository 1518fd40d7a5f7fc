// Package slapd runs OpenLDAP's server for tests: as the user who runs the test, on loopback ports, from a folder of the test's
// own. Nothing is installed and no daemon is started on the machine.
package slapd

import (
	"bytes"
	"context"
	_ "embed"
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

// packages are Debian's, one a line, pinned to the version that Debian bookworm has.
//
//go:embed debian-packages
var packages string

// programs are OpenLDAP's server and clients, unpacked below a folder.
type programs struct{ root string }

// forTest returns the programs. A test is skipped only where they cannot be: on a system that is not Debian bookworm, for which
// the packages are. There a package that cannot be downloaded is a failure, as a Go module is.
func forTest(t testing.TB) programs {
	t.Helper()
	release, err := os.ReadFile("/etc/os-release")
	_, noApt := exec.LookPath("apt-get")
	if err != nil || noApt != nil || !strings.Contains(string(release), "VERSION_CODENAME=bookworm") {
		t.Skip("skipped: slapd is unpacked from Debian 12's packages, and this is not Debian 12 (bookworm)")
	}
	folder, err := cache.Folder("debian")
	require.NoError(t, err)
	root, err := cache.Cache{Folder: folder, Progress: os.Stderr}.Get(t.Context(), cache.Entry{
		Name: "slapd", Ingredients: runtime.GOARCH + "\n" + packages, Result: "root",
	}, unpack)
	require.NoError(t, err, "unpack Debian's slapd into the cache")
	return programs{root}
}

// unpack downloads the packages and unpacks them. What apt knows of the archive may be old, or nothing on a machine on which
// nobody has been root: then a list of its own, beside the packages, is fetched.
func unpack(ctx context.Context, folder string) error {
	downloads := filepath.Join(folder, "downloads")
	if err := os.MkdirAll(filepath.Join(downloads, "lists", "partial"), 0o755); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(downloads) }()
	wanted := strings.Fields(packages)
	if run(ctx, downloads, "apt-get", append([]string{"-q", "download"}, wanted...)...) != nil {
		own := []string{
			"-q", "-o", "Dir::State=" + downloads, "-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Dir::Cache=" + downloads,
			"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=",
		}
		if err := run(ctx, downloads, "apt-get", append(own, "update")...); err != nil {
			return err
		}
		if err := run(ctx, downloads, "apt-get", append(append(own, "download"), wanted...)...); err != nil {
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

// command runs one of the programs, such as usr/sbin/slapd, with the libraries that came with it.
func (p programs) command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(p.root, program), arguments...)
	libraries, _ := filepath.Glob(filepath.Join(p.root, "usr", "lib", "*-linux-gnu*"))
	command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"), "LDAPCONF=/dev/null")
	return command
}
