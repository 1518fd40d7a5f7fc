// Package samba runs Samba's Active Directory domain controller for tests, at two loopback addresses of its own. Its files
// come from Debian's packages and are not installed. Samba expects its files in /usr, so its processes run in a mount
// namespace in which the files are mounted over /usr.
package samba

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/children"
	"jupyter-user.io/jupyter-user-webhook/test/debian"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// The domain of every test, its administrator, and the URLs and addresses of its controller. The URLs need no port, because
// Samba always listens on the standard ports of LDAP.
const (
	BaseDN        = "DC=corp,DC=example"
	Administrator = "administrator@corp.example"
	Password      = "Passw0rd of the administrator"

	LDAPS = "ldaps://" + address
	LDAP  = "ldap://" + address
	// OtherHost is the LDAPS URL with an address that is not in the certificate.
	OtherHost = "ldaps://" + otherAddress

	address, otherAddress = "127.99.19.1", "127.99.19.2"
)

// packages lists Debian packages, one per line, with their versions in Debian bookworm.
//
//go:embed debian-packages
var packages string

// Controller is the only domain controller of a test's domain.
type Controller struct {
	// authority is the CA that signed the controller's certificate. CAFile is the file with the CA certificate.
	authority pki.Pair
	CAFile    string

	root, folder string
	process      *exec.Cmd
}

// Start creates a domain with the attributes of RFC 2307 and starts its controller, which ends with the test. Start skips
// the test if this machine cannot run Samba.
func Start(t testing.TB) *Controller {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can run Samba's domain controller, which needs ports below 1024 and a mount namespace")
	}
	c := &Controller{root: debian.Unpacked(t, "samba", packages), folder: t.TempDir()}
	if output, err := c.command(t.Context(), "true").CombinedOutput(); err != nil {
		t.Skipf("skipped: Samba's files cannot be mounted over /usr on this machine: %s", output)
	}
	c.certificate(t)
	options := []string{
		"interfaces = " + address + "/8 " + otherAddress + "/8", "bind interfaces only = yes", "server services = ldap",
		"pid directory = " + c.path("run"), "ncalrpc dir = " + c.path("run/ncalrpc"), "winbindd socket directory = " + c.path("run/winbindd"),
		"tls certfile = " + c.path("tls.crt"), "tls keyfile = " + c.path("tls.key"), "tls cafile = " + c.CAFile,
	}
	require.NoError(t, os.Mkdir(c.path("run"), 0o755))
	arguments := []string{
		"domain", "provision", "--targetdir=" + c.folder, "--realm=CORP.EXAMPLE", "--domain=CORP", "--server-role=dc", "--use-rfc2307",
		"--dns-backend=NONE", "--host-name=dc1", "--host-ip=" + address, "--adminpass=" + Password,
	}
	for _, option := range options {
		arguments = append(arguments, "--option="+option)
	}
	output, err := c.command(t.Context(), "samba-tool", arguments...).CombinedOutput()
	require.NoError(t, err, "samba-tool domain provision: %s", output)
	t.Cleanup(c.Kill)
	c.Run(t)
	return c
}

func (c *Controller) path(name string) string { return filepath.Join(c.folder, name) }

// command returns a command that runs a program of Samba in a mount namespace of its own. There the files of the packages
// are mounted over those of the machine.
func (c *Controller) command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	const mount = `mount -t overlay overlay -o "lowerdir=$0/usr:/usr" /usr && mount -t overlay overlay -o "lowerdir=$0/lib:/usr/lib" /usr/lib && ` +
		`for folder in /usr/lib/*-linux-gnu*; do LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$folder:$folder/samba"; done && export LD_LIBRARY_PATH && exec "$@"`
	command := exec.CommandContext(ctx, "sh", append([]string{"-c", mount, c.root, program}, arguments...)...)
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + c.folder}
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return command
}

func (c *Controller) certificate(t testing.TB) {
	t.Helper()
	var err error
	c.authority, err = pki.New(time.Hour, "authority")
	require.NoError(t, err)
	pair, err := c.authority.IssueServer(time.Hour, "dc1.corp.example", address)
	require.NoError(t, err)
	pair.Write(t, c.folder)
	c.CAFile = c.path("ca.crt")
	require.NoError(t, os.WriteFile(c.CAFile, c.authority.Cert, 0o600))
}

// Run starts the controller and waits until it responds. It can be called again after Kill.
func (c *Controller) Run(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(c.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close() //nolint:errcheck // the process has a file descriptor of its own
	c.process = c.command(context.WithoutCancel(t.Context()), "samba", "--interactive", "--model=single", "--debug-stdout",
		"--configfile="+c.path("etc/smb.conf"),
		// Without this option Samba accepts an old password for an hour after a change. The option is given here, because
		// samba-tool domain provision does not write a zero into smb.conf.
		"--option=old password allowed period=0")
	c.process.Stdout, c.process.Stderr = log, log
	require.NoError(t, children.Start(c.process))
	require.Eventually(t, func() bool {
		directory, err := c.dial()
		if err != nil {
			return false
		}
		return directory.Close() == nil
	}, time.Minute, 50*time.Millisecond, "Samba does not respond; its log is %s", c.path("log"))
}

// Kill ends the controller immediately.
func (c *Controller) Kill() {
	if c.process != nil {
		_ = c.process.Process.Kill()
		_ = c.process.Wait()
	}
	c.process = nil
	_ = os.Remove(c.path("run/samba.pid"))
}

func (c *Controller) dial() (*ldap.Conn, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	conn, err := ldap.DialURL(LDAPS, ldap.DialWithDialer(dialer), ldap.DialWithTLSConfig(&tls.Config{RootCAs: c.authority.Roots()}))
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(Administrator, Password); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// Connect returns a connection that is bound as the administrator. The connection is closed when the test ends.
func (c *Controller) Connect(t testing.TB) *ldap.Conn {
	t.Helper()
	conn, err := c.dial()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Tool runs samba-tool on the domain. The command must succeed.
func (c *Controller) Tool(t testing.TB, arguments ...string) {
	t.Helper()
	output, err := c.command(t.Context(), "samba-tool", append(arguments, "--configfile="+c.path("etc/smb.conf"))...).CombinedOutput()
	require.NoError(t, err, "samba-tool %s: %s", strings.Join(arguments, " "), bytes.TrimSpace(output))
}
