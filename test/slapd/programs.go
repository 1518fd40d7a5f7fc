package slapd

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jupyter-user.io/jupyter-user-webhook/test/debian"
)

// packages lists Debian packages, one per line, with their versions in Debian bookworm.
//
//go:embed debian-packages
var packages string

// programs has OpenLDAP's server and clients. The field "root" is the folder with the files of the Debian packages.
type programs struct{ root string }

// forTest returns the programs, or skips the test if this machine is not Debian 12.
func forTest(t testing.TB) programs {
	t.Helper()
	return programs{debian.Unpacked(t, "slapd", packages)}
}

// Fetch unpacks the programs into the cache, for tests that run later without a network. It does nothing on a machine that
// is not Debian 12, where those tests are skipped.
func Fetch(ctx context.Context) error {
	if !debian.IsBookworm() {
		return nil
	}
	_, err := debian.Unpack(ctx, "slapd", packages)
	return err
}

// command returns a command that runs a program, such as usr/sbin/slapd, with the libraries of the packages.
func (p programs) command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(p.root, program), arguments...)
	libraries, _ := filepath.Glob(filepath.Join(p.root, "usr", "lib", "*-linux-gnu*"))
	command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"), "LDAPCONF=/dev/null")
	return command
}
