package uml

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUnsuitableHost tests that if User Mode Linux cannot run on a host, the error says why in one sentence.
func TestUnsuitableHost(t *testing.T) {
	device := filepath.Join(t.TempDir(), "tun")
	require.NoError(t, os.WriteFile(device, nil, 0o600))
	traces := func() error { return nil }
	assert.NoError(t, host{"amd64", 0, device, traces}.check())
	for want, h := range map[string]host{
		"this machine is arm64, and Debian has User Mode Linux for amd64 alone":                              {"arm64", 0, device, traces},
		"a second machine needs root":                                                                        {"amd64", 1000, device, traces},
		"a second machine needs a network device of its own: open /missing/tun: no such file or directory":   {"amd64", 0, "/missing/tun", traces},
		"a process may not trace its child, by which User Mode Linux runs programs: operation not permitted": {"amd64", 0, device, func() error { return syscall.EPERM }},
	} {
		assert.EqualError(t, h.check(), want)
	}
}

// TestBuildErrors tests that if Debian's archive is missing or has other versions, or debootstrap is missing, the first
// line of the error says so.
func TestBuildErrors(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("left out: only root can make a root for a second machine")
	}
	for _, program := range []string{"debootstrap", "dpkg-query", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("left out: this machine is no Debian with debootstrap: ", err)
		}
	}
	firstLine := func() string {
		err := fill(t.Context(), t.TempDir())
		require.Error(t, err)
		line, _, _ := strings.Cut(err.Error(), "\n")
		return line
	}
	t.Run("no archive", func(t *testing.T) {
		nothing := httptest.NewServer(http.NotFoundHandler())
		defer nothing.Close()
		t.Setenv("DEBIAN_MIRROR", nothing.URL)
		assert.Contains(t, firstLine(), "Debian's archive: exit status 1: E: Failed getting release file "+nothing.URL)
	})
	t.Run("another version", func(t *testing.T) {
		folder := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(folder, "debootstrap"), []byte(`#!/bin/sh
mkdir -p root/var/lib/dpkg/info
for name in containernetworking-plugins e2fsprogs iproute2 iptables kmod nfs-common nfs-kernel-server rpcbind runc user-mode-linux; do
	printf 'Package: %s\nStatus: install ok installed\nMaintainer: x\nArchitecture: amd64\nVersion: 0.1\nDescription: x\n\n' $name
done >root/var/lib/dpkg/status
`), 0o755))
		t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
		assert.Contains(t, firstLine(), "exit status 1: Debian's archive has containernetworking-plugins 0.1, and not 1.1.1*")
	})
	t.Run("no debootstrap", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		assert.Contains(t, firstLine(), "a program is missing, run test/e2e/install: ")
	})
}

// TestNFSTestsSkipThemselves tests that each test of package nfs begins with needNFS, which skips the test if no second
// machine can run.
func TestNFSTestsSkipThemselves(t *testing.T) {
	files, err := filepath.Glob("../nfs/*_test.go")
	require.NoError(t, err)
	tests := 0
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, declared := range parsed.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
				continue
			}
			tests++
			assert.Equal(t, "needNFS", firstCall(f), "%s must begin with needNFS(t)", f.Name.Name)
		}
	}
	assert.Greater(t, tests, 5)
}

// firstCall returns the name of the function that the first statement of a function calls, or an empty string.
func firstCall(f *ast.FuncDecl) string {
	if len(f.Body.List) == 0 {
		return ""
	}
	statement, ok := f.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return ""
	}
	call, ok := statement.X.(*ast.CallExpr)
	if !ok {
		return ""
	}
	name, _ := call.Fun.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}
