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

// packages are Debian's, one a line, pinned to the version that Debian bookworm has.
//
//go:embed debian-packages
var packages string

// programs are OpenLDAP's server and clients, unpacked below a folder.
type programs struct{ root string }

// forTest returns the programs.
func forTest(t testing.TB) programs {
	t.Helper()
	return programs{debian.Unpacked(t, "slapd", packages)}
}

// Fetch puts the programs into the cache, for tests that run where there is no network. It does nothing where such tests are skipped.
func Fetch(ctx context.Context) error {
	if !debian.Here() {
		return nil
	}
	_, err := debian.Unpack(ctx, "slapd", packages)
	return err
}

// command runs one of the programs, such as usr/sbin/slapd, with the libraries that came with it.
func (p programs) command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(p.root, program), arguments...)
	libraries, _ := filepath.Glob(filepath.Join(p.root, "usr", "lib", "*-linux-gnu*"))
	command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"), "LDAPCONF=/dev/null")
	return command
}
