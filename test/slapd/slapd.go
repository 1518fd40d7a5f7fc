// Package slapd runs OpenLDAP's server from Debian's packages, for tests. Nothing is installed on the machine.
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

// The directory of every test.
const (
	Suffix        = "dc=example,dc=org"
	AdminDN       = "cn=admin,dc=example,dc=org"
	AdminPassword = "admin's password"
)

// Schema is one that a directory can have.
type Schema string

// The schemas.
const (
	RFC2307    Schema = "rfc2307"
	RFC2307bis Schema = "rfc2307bis"
	AD         Schema = "ad"
)

// Options of a server.
type Options struct {
	Schema Schema
	// LDIF of what is in the directory, below the suffix, which is there.
	LDIF string
	// Global and Database are further lines of the configuration.
	Global, Database string
	// Address that the server listens at; 127.0.0.1 without it. Its certificate is for both.
	Address string
}

// Server is one slapd with one database. It serves LDAP, with StartTLS, and LDAPS.
type Server struct {
	// LDAP and LDAPS are its URLs, by its address.
	LDAP, LDAPS string
	// OtherHost is LDAPS by an address that the certificate is not for.
	OtherHost string
	// Authority has signed the server's certificate; CAFile has it. It signs clients' certificates too.
	Authority pki.Pair
	CAFile    string

	programs programs
	folder   string
	log      string
	process  *exec.Cmd
}

// Units is the LDIF of the units below which a test has its accounts, its groups and its services.
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

// Start starts a server that ends with the test.
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
	said, err := add.CombinedOutput()
	require.NoError(t, err, "slapadd: %s", said)
	t.Cleanup(func() { s.Kill() })
	s.Run(t)
	return s
}

func (s *Server) path(name string) string { return filepath.Join(s.folder, name) }

func (s *Server) write(t testing.TB, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.path(name), []byte(content), 0o600))
}

// certificates are for 127.0.0.1 and localhost, and for another address where one is given.
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

// included lists the schemas of a directory, in order. Those of the packages have a path in the packages, the others are beside
// this file.
var included = map[Schema][]string{
	RFC2307:    {"core", "cosine", "inetorgperson", "nis"},
	RFC2307bis: {"core", "cosine", "inetorgperson", "rfc2307bis"},
	AD:         {"core", "cosine", "inetorgperson", "ad"},
}

// indexed lists what a directory of that schema is searched by.
var indexed = map[Schema]string{RFC2307: "uid,memberUid", RFC2307bis: "uid,member", AD: "sAMAccountName,userPrincipalName,member"}

// configuration returns slapd.conf. Paths are absolute: what the packages have by default is elsewhere here.
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

// Run starts the server, also again after Kill, and waits until it answers.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close() //nolint:errcheck // the process has its own
	// -d keeps it in the foreground. The context of the test is not its own: it ends by Kill, when the test is cleaned up.
	s.process = s.programs.command(context.WithoutCancel(t.Context()), "usr/sbin/slapd", "-d", "0", "-f", s.path("slapd.conf"),
		"-h", strings.Join([]string{s.LDAP, s.LDAPS, s.OtherHost}, " "))
	s.process.Stdout, s.process.Stderr = log, log
	require.NoError(t, children.Start(s.process))
	require.Eventually(t, func() bool {
		return s.Search(t, AdminDN, AdminPassword, "-b", Suffix, "-s", "base") != ""
	}, time.Minute, 20*time.Millisecond, "slapd does not answer, its log is %s", s.log)
}

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
	s.process = nil
}

// Hang suspends the server: the kernel still accepts connections for it, and nothing is answered until the returned function
// lets it go on.
func (s *Server) Hang(t testing.TB) (goOn func()) {
	t.Helper()
	require.NoError(t, s.process.Process.Signal(syscall.SIGSTOP))
	return func() { _ = s.process.Process.Signal(syscall.SIGCONT) }
}

// Search runs ldapsearch, bound as somebody, and returns what it printed; nothing if it failed.
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

// Modify changes what is in the directory, by LDIF with changetype.
func (s *Server) Modify(t testing.TB, ldif string) {
	t.Helper()
	modify := s.Client(t, "ldapmodify", "-x", "-H", s.LDAP, "-D", AdminDN, "-w", AdminPassword)
	modify.Stdin = strings.NewReader(ldif)
	said, err := modify.CombinedOutput()
	require.NoError(t, err, "ldapmodify: %s", said)
}

// Client returns one of OpenLDAP's clients, which trusts the server's authority.
func (s *Server) Client(t testing.TB, name string, arguments ...string) *exec.Cmd {
	t.Helper()
	client := s.programs.command(t.Context(), "usr/bin/"+name, arguments...)
	client.Env = append(client.Env, "LDAPTLS_CACERT="+s.CAFile)
	return client
}

// Folder returns the folder with the programs, ldapsearch among them, for a PATH.
func (s *Server) Folder() string { return filepath.Join(s.programs.root, "usr", "bin") }

// freeAddress returns an address with a port that nobody listens on.
func freeAddress(t testing.TB, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address+":0")
	require.NoError(t, err)
	defer listener.Close() //nolint:errcheck // it was to find a port
	return listener.Addr().String()
}
