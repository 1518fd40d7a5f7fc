// Package slapd runs OpenLDAP's server from Debian's packages, for tests. It installs nothing on the machine.
package slapd

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/children"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// The suffix and the administrator of the server's database, the same in every test.
const (
	Suffix        = "dc=example,dc=org"
	AdminDN       = "cn=admin,dc=example,dc=org"
	AdminPassword = "admin's password"
)

// Schema names the LDAP schema of a server.
type Schema string

// The schemas: groups with memberUid, groups with member, and Active Directory.
const (
	RFC2307    Schema = "rfc2307"
	RFC2307bis Schema = "rfc2307bis"
	AD         Schema = "ad"
)

// Options has what a test chooses for its server: the schema, the entries, more configuration and the address.
type Options struct {
	Schema Schema
	// LDIF has the entries below the suffix. Start adds the entry of the suffix itself.
	LDIF string
	// Global and Database are additional lines of slapd.conf, for the whole server and for its database.
	Global, Database string
	// Address is the IP address of LDAP and LDAPS, or empty for 127.0.0.1. The certificate is for this address, 127.0.0.1
	// and localhost.
	Address string
}

// Server is one slapd with one database. It serves LDAP, with StartTLS, and LDAPS.
type Server struct {
	// LDAP and LDAPS are the URLs of the server.
	LDAP, LDAPS string
	// OtherHost is the LDAPS URL with an address that is not in the certificate.
	OtherHost string
	// Authority is the CA that signed the server's certificate. The server also accepts client certificates of this CA.
	// CAFile is the file with the CA certificate.
	Authority pki.Pair
	CAFile    string

	programs programs
	folder   string
	log      string
	process  *exec.Cmd
}

// Units is the LDIF of the organizational units for accounts, groups and services.
const Units = `dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: ou=services,dc=example,dc=org
objectClass: organizationalUnit
ou: services

`

// Start starts a server that ends with the test. It skips the test if this machine is not Debian 12.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{programs: forTest(t), folder: t.TempDir()}
	s.log = filepath.Join(s.folder, "log")
	address := cmp.Or(o.Address, "127.0.0.1")
	s.certificates(t, o.Address)
	s.LDAP, s.LDAPS = "ldap://"+freeAddress(t, address), "ldaps://"+freeAddress(t, address)
	s.OtherHost = strings.Replace(s.LDAPS, address, "127.0.0.2", 1)
	s.write(t, "slapd.conf", s.configuration(t, o))
	require.NoError(t, os.Mkdir(s.path("database"), 0o700))
	s.write(t, "content.ldif", "dn: "+Suffix+"\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n"+o.LDIF)
	add := s.programs.command(t.Context(), "usr/sbin/slapadd", "-q", "-f", s.path("slapd.conf"), "-l", s.path("content.ldif"))
	output, err := add.CombinedOutput()
	require.NoError(t, err, "slapadd: %s", output)
	t.Cleanup(func() { s.Kill() })
	s.Run(t)
	return s
}

func (s *Server) path(name string) string { return filepath.Join(s.folder, name) }

func (s *Server) write(t testing.TB, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.path(name), []byte(content), 0o600))
}

// certificates writes the CA and a server certificate for localhost, 127.0.0.1 and the address, which may be empty.
func (s *Server) certificates(t testing.TB, address string) {
	t.Helper()
	names := []string{"localhost"}
	if address != "" {
		names = append(names, address)
	}
	var err error
	s.Authority, err = pki.New(time.Hour, "authority")
	require.NoError(t, err)
	pair, err := s.Authority.IssueServer(time.Hour, names...)
	require.NoError(t, err)
	s.write(t, "ca.crt", string(s.Authority.Cert))
	s.write(t, "server.crt", string(pair.Cert))
	s.write(t, "server.key", string(pair.Key))
	s.CAFile = s.path("ca.crt")
}

//go:embed schema
var schemas embed.FS

// included lists the schema files of each schema, in the order in which slapd must read them. The files rfc2307bis and ad
// are in the folder "schema" beside this file, and the others are in the Debian packages.
var included = map[Schema][]string{
	RFC2307:    {"core", "cosine", "inetorgperson", "nis"},
	RFC2307bis: {"core", "cosine", "inetorgperson", "rfc2307bis"},
	AD:         {"core", "cosine", "inetorgperson", "ad"},
}

// indexed lists the attributes for which slapd keeps an index: those that the webhook searches by.
var indexed = map[Schema]string{RFC2307: "uid,memberUid", RFC2307bis: "uid,member", AD: "sAMAccountName,userPrincipalName,member"}

// configuration returns the text of slapd.conf, and writes the included schema files that the Debian packages lack. All
// paths are absolute, because the packages are not unpacked at their default paths.
func (s *Server) configuration(t testing.TB, o Options) string {
	t.Helper()
	var b strings.Builder
	for _, name := range included[o.Schema] {
		path := filepath.Join(s.programs.root, "etc", "ldap", "schema", name+".schema")
		if own, err := schemas.ReadFile("schema/" + name + ".schema"); err == nil {
			path = s.path(name + ".schema")
			s.write(t, name+".schema", string(own))
		}
		fmt.Fprintf(&b, "include %s\n", path)
	}
	fmt.Fprintf(&b, `modulepath %s
moduleload back_mdb
pidfile %s
TLSCACertificateFile %s
TLSCertificateFile %s
TLSCertificateKeyFile %s
TLSVerifyClient try
%s
database mdb
maxsize 1073741824
suffix %q
directory %s
rootdn %q
rootpw %q
dbnosync
index objectClass eq
index %s eq
%s
`, filepath.Join(s.programs.root, "usr", "lib", "ldap"), s.path("pid"), s.path("ca.crt"), s.path("server.crt"), s.path("server.key"),
		o.Global, Suffix, s.path("database"), AdminDN, AdminPassword, indexed[o.Schema], o.Database)
	return b.String()
}

// Run starts the server and waits until it responds. It can be called again after Kill.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close() //nolint:errcheck // the process has a file descriptor of its own
	// -d keeps slapd in the foreground. The context is not the test's, because slapd must run until the test's cleanup
	// calls Kill.
	s.process = s.programs.command(context.WithoutCancel(t.Context()), "usr/sbin/slapd", "-d", "0", "-f", s.path("slapd.conf"),
		"-h", strings.Join([]string{s.LDAP, s.LDAPS, s.OtherHost}, " "))
	s.process.Stdout, s.process.Stderr = log, log
	require.NoError(t, children.Start(s.process))
	require.Eventually(t, func() bool {
		return s.Search(t, AdminDN, AdminPassword, "-b", Suffix, "-s", "base") != ""
	}, time.Minute, 20*time.Millisecond, "slapd does not respond; its log is %s", s.log)
}

// Kill ends the server immediately.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
	s.process = nil
}

// Hang suspends the server. The kernel still accepts connections, but no request gets a response until resume is called.
func (s *Server) Hang(t testing.TB) (resume func()) {
	t.Helper()
	require.NoError(t, s.process.Process.Signal(syscall.SIGSTOP))
	return func() { _ = s.process.Process.Signal(syscall.SIGCONT) }
}

// Search runs ldapsearch, bound as dn, and returns its output. It returns an empty string if ldapsearch failed.
func (s *Server) Search(t testing.TB, dn, password string, arguments ...string) string {
	t.Helper()
	search := s.Client(t, "ldapsearch", append([]string{"-x", "-ZZ", "-LLL", "-o", "ldif-wrap=no", "-H", s.LDAP, "-D", dn, "-w", password},
		arguments...)...)
	found, err := search.Output()
	if err != nil {
		return ""
	}
	return string(found)
}

// Modify changes entries of the server's database. Each entry of the LDIF must have a changetype.
func (s *Server) Modify(t testing.TB, ldif string) {
	t.Helper()
	modify := s.Client(t, "ldapmodify", "-x", "-H", s.LDAP, "-D", AdminDN, "-w", AdminPassword)
	modify.Stdin = strings.NewReader(ldif)
	output, err := modify.CombinedOutput()
	require.NoError(t, err, "ldapmodify: %s", output)
}

// Client returns a command that runs one of OpenLDAP's clients. The client trusts the server's CA.
func (s *Server) Client(t testing.TB, name string, arguments ...string) *exec.Cmd {
	t.Helper()
	client := s.programs.command(t.Context(), "usr/bin/"+name, arguments...)
	client.Env = append(client.Env, "LDAPTLS_CACERT="+s.CAFile)
	return client
}

// Folder returns the folder with ldapsearch and the other clients. A test adds it to PATH.
func (s *Server) Folder() string { return filepath.Join(s.programs.root, "usr", "bin") }

// freeAddress returns the address with a port that is free at the moment.
func freeAddress(t testing.TB, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address+":0")
	require.NoError(t, err)
	defer listener.Close() //nolint:errcheck // only the port is needed
	return listener.Addr().String()
}
