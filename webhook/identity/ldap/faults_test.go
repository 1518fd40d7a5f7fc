package ldap_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/test/slapd"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

const alice = "5003:6003:7001"

func directory(t *testing.T, o slapd.Options) *slapd.Server {
	t.Helper()
	o.Schema, o.LDIF = slapd.RFC2307, units+account("alice", 5003)+account("bob", 5004)+posixGroup("lab", 7001, "alice")+o.LDIF
	return slapd.Start(t, o)
}

func TestTransport(t *testing.T) {
	t.Parallel()
	server := directory(t, slapd.Options{Global: "security simple_bind=128"})
	port := func(url string) string { return url[strings.LastIndex(url, ":"):] }
	stranger, err := pki.New(time.Hour, "authority")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*config.LDAP)
		want   string
	}{
		"LDAPS by address":   {func(*config.LDAP) {}, alice},
		"LDAPS by name":      {func(c *config.LDAP) { c.URLs = []string{"ldaps://localhost" + port(server.LDAPS)} }, alice},
		"StartTLS":           {func(c *config.LDAP) { c.URLs, c.StartTLS = []string{server.LDAP}, true }, alice},
		"another authority":  {func(c *config.LDAP) { c.CAFile = file(t, "ca", string(stranger.Cert)) }, "TLS: tls: failed to verify certificate"},
		"system authorities": {func(c *config.LDAP) { c.CAFile = "" }, "TLS: tls: failed to verify certificate"},
		"another host":       {func(c *config.LDAP) { c.URLs = []string{server.OtherHost} }, "TLS: tls: failed to verify certificate: x509: certificate is valid for 127.0.0.1, not 127.0.0.2"},
		"StartTLS with another authority": {func(c *config.LDAP) {
			c.URLs, c.StartTLS, c.CAFile = []string{server.LDAP}, true, file(t, "ca", string(stranger.Cert))
		}, "StartTLS: "},
		"plain text":         {func(c *config.LDAP) { c.URLs, c.Insecure = []string{server.LDAP}, true }, `bind: LDAP Result Code 13 "Confidentiality Required"`},
		"plain text to TLS":  {func(c *config.LDAP) { c.URLs = []string{"ldaps://127.0.0.1" + port(server.LDAP)} }, "TLS: "},
		"unknown host":       {func(c *config.LDAP) { c.URLs = []string{"ldaps://ldap.invalid"} }, "connect: dial tcp: lookup ldap.invalid"},
		"refused connection": {func(c *config.LDAP) { c.URLs = []string{"ldaps://127.0.0.1:1"} }, "connect: dial tcp 127.0.0.1:1: connect: connection refused"},
		"wrong password":     {func(c *config.LDAP) { c.Bind.PasswordFile = file(t, "password", "wrong") }, `bind: LDAP Result Code 49 "Invalid Credentials"`},
		"second server":      {func(c *config.LDAP) { c.URLs = []string{"ldaps://127.0.0.1:1", server.LDAPS} }, alice},
		"second server after a wrong certificate": {func(c *config.LDAP) { c.URLs = []string{server.OtherHost, server.LDAPS} }, alice},
		"password with \\r\\n":                    {func(c *config.LDAP) { c.Bind.PasswordFile = file(t, "password", slapd.AdminPassword+"\r\n") }, alice},
	} {
		t.Run(name, func(t *testing.T) {
			settings := settings(t, server, config.PresetRFC2307)
			c.change(&settings)
			assert.Contains(t, lookUp(t, open(t, settings), "alice"), c.want)
		})
	}
}

// TestStartTLSFails tests that the password is not sent in plain text to a server that denies StartTLS.
func TestStartTLSFails(t *testing.T) {
	t.Parallel()
	var received atomic.Value
	received.Store("")
	address := listen(t, func(c net.Conn) {
		request := make([]byte, 512)
		_, _ = c.Read(request)
		// An extended response with the result 52, unavailable.
		_, _ = c.Write([]byte("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"))
		rest, _ := io.ReadAll(c)
		received.Store(string(rest))
	})
	c := config.Default().Identity.LDAP
	c.URLs, c.StartTLS, c.Users.BaseDN, c.WaitMilliseconds = []string{"ldap://" + address}, true, slapd.Suffix, 60_000
	c.Bind = config.LDAPBind{Method: config.BindSimple, DN: slapd.AdminDN, PasswordFile: file(t, "password", "secret")}
	assert.Contains(t, lookUp(t, open(t, c), "alice"), `StartTLS: LDAP Result Code 52 "Unavailable"`)
	assert.NotContains(t, received.Load(), "secret")
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	server := directory(t, slapd.Options{LDIF: strings.Replace(account("reader", 5010), "uid: reader\n", "uid: reader\nuserPassword: first\n", 1)})
	for content, want := range map[string]string{
		"": "is empty (identity.ldap.bind.passwordFile): with it the server would take the webhook for nobody", "\n": "is empty", "\r\n": "is empty",
	} {
		c := settings(t, server, config.PresetRFC2307)
		c.Bind.PasswordFile = file(t, "password", content)
		_, err := ldap.Open(t.Context(), c, prometheus.NewRegistry(), nil)
		assert.ErrorContains(t, err, want, "%q", content)
	}
	c := settings(t, server, config.PresetRFC2307)
	c.Bind.PasswordFile = "/nowhere/password"
	_, err := ldap.Open(t.Context(), c, prometheus.NewRegistry(), nil)
	assert.ErrorContains(t, err, "read the password (identity.ldap.bind.passwordFile): open /nowhere/password")

	c.Bind.DN, c.Bind.PasswordFile = "uid=reader,ou=people,dc=example,dc=org", file(t, "password", "first")
	s := open(t, c)
	assert.Equal(t, alice, lookUp(t, s, "alice"))
	server.Modify(t, "dn: "+c.Bind.DN+"\nchangetype: modify\nreplace: userPassword\nuserPassword: second\n")
	server.Kill()
	server.Run(t)
	assert.Contains(t, lookUp(t, s, "alice"), "Invalid Credentials")
	require.NoError(t, os.WriteFile(c.Bind.PasswordFile, []byte("second"), 0o600))
	assert.Equal(t, alice, lookUp(t, s, "alice"), "the file is read again for each connection")
	require.NoError(t, os.WriteFile(c.Bind.PasswordFile, nil, 0o600))
	assert.Equal(t, alice, lookUp(t, s, "alice"), "a bound connection stays bound")
}

func TestAnonymousAndExternalBind(t *testing.T) {
	t.Parallel()
	server := directory(t, slapd.Options{
		Global: "authz-regexp \"cn=webhook\" \"uid=alice,ou=people,dc=example,dc=org\"",
		Database: "access to dn.subtree=\"ou=groups,dc=example,dc=org\" by dn.exact=\"uid=alice,ou=people,dc=example,dc=org\" read by * none\n" +
			"access to * by * read",
	})
	c := settings(t, server, config.PresetRFC2307)
	c.Bind, c.Groups.BaseDN = config.LDAPBind{Method: config.BindAnonymous}, ""
	assert.Equal(t, "5003:6003", lookUp(t, open(t, c), "alice"))
	c.Groups.BaseDN = "ou=groups,dc=example,dc=org"
	assert.Contains(t, lookUp(t, open(t, c), "alice"), "the server has no such entry, or hides it from the account that the webhook binds as",
		"hidden groups are an error")

	pair, err := server.Authority.Issue(time.Hour, "webhook")
	require.NoError(t, err)
	folder := t.TempDir()
	pair.Write(t, folder)
	c.Bind = config.LDAPBind{
		Method: config.BindExternal, CertificateFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key"),
	}
	assert.Equal(t, alice, lookUp(t, open(t, c), "alice"), "SASL EXTERNAL")
	c.URLs, c.StartTLS = []string{server.LDAP}, true
	assert.Equal(t, alice, lookUp(t, open(t, c), "alice"), "SASL EXTERNAL over StartTLS")
}

// TestAdviceForBind tests the advice after a bind with invalid credentials, for each method. The messages of Active Directory
// have a code for the reason.
func TestAdviceForBind(t *testing.T) {
	t.Parallel()
	const simple = "the server does not take identity.ldap.bind.dn with the password in the file"
	pair, err := pki.New(time.Hour, "webhook")
	require.NoError(t, err)
	folder := t.TempDir()
	pair.Write(t, folder)
	for name, c := range map[string]struct {
		bind    config.LDAPBind
		message string
		want    string
	}{
		"simple":             {config.LDAPBind{Method: config.BindSimple}, "", simple},
		"wrong password":     {config.LDAPBind{Method: config.BindSimple}, "52e", simple + ": data 52e means that the password is wrong, or there is no such account"},
		"expired password":   {config.LDAPBind{Method: config.BindSimple}, "532", simple + ": data 532 means that the password of the account has expired"},
		"password to change": {config.LDAPBind{Method: config.BindSimple}, "773", simple + ": data 773 means that the password of the account must be changed before it can be used"},
		"disabled account":   {config.LDAPBind{Method: config.BindSimple}, "533", simple + ": data 533 means that the account is disabled"},
		"locked account":     {config.LDAPBind{Method: config.BindSimple}, "775", simple + ": data 775 means that the account is locked, after too many wrong passwords"},
		"unknown code":       {config.LDAPBind{Method: config.BindSimple}, "999", simple},
		"certificate": {config.LDAPBind{Method: config.BindExternal, CertificateFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key")}, "",
			"the server has no account for the client certificate identity.ldap.bind.certificateFile, or does not trust its authority: configure both in the " +
				"directory service"},
		"anonymous": {config.LDAPBind{Method: config.BindAnonymous}, "", "the server takes no anonymous bind: make an account for the webhook, and write it in " +
			"identity.ldap.bind"},
	} {
		t.Run(name, func(t *testing.T) {
			message := ""
			if c.message != "" {
				message = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data " + c.message + ", v2580"
			}
			address := listen(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 512))
				// A bind response with the result 49, invalid credentials.
				n := byte(len(message))
				_, _ = io.WriteString(conn, "\x30"+string([]byte{n + 12})+"\x02\x01\x01\x61"+string([]byte{n + 7})+"\x0a\x01\x31\x04\x00\x04"+string([]byte{n})+message)
				_, _ = io.Copy(io.Discard, conn)
			})
			configured := config.Default()
			l := &configured.Identity.LDAP
			l.URLs, l.Insecure, l.Users.BaseDN, l.Bind = []string{"ldap://" + address}, true, slapd.Suffix, c.bind
			if c.bind.Method == config.BindSimple {
				l.Bind.DN, l.Bind.PasswordFile = slapd.AdminDN, file(t, "password", "secret")
			}
			remarks, err := ldap.Diagnose(configured, user.Name{})
			require.NoError(t, err)
			require.Len(t, remarks, 1)
			assert.Equal(t, ldap.RemarkFailed, remarks[0].Kind)
			assert.True(t, strings.HasSuffix(remarks[0].Message, "; "+c.want), remarks[0].Message)
		})
	}
}

// TestAdviceForConnection tests the advice for connections that fail before the server responds to the bind.
func TestAdviceForConnection(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	expired := pki.Make(t, -time.Minute)
	expired.Write(t, folder)
	serve := func(c *tls.Config) string {
		return listen(t, func(conn net.Conn) { _ = tls.Server(conn, c).Handshake(); _, _ = io.Copy(io.Discard, conn) })
	}
	certificate := func(pair pki.Pair) tls.Certificate {
		c, err := tls.X509KeyPair(pair.Cert, pair.Key)
		require.NoError(t, err)
		return c
	}
	valid := pki.Make(t, time.Hour)
	issued, err := expired.IssueServer(time.Hour, "localhost")
	require.NoError(t, err)
	validFile := file(t, "ca", string(valid.Cert))
	hangs := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	var group sync.WaitGroup
	const outdated = "the server's certificate or its authority is not valid at this time: renew what has expired, an authority also in " +
		"identity.ldap.caFile, if the clock is right here"
	const silent = "the server accepts connections and does not respond: its admin must look at it"
	for name, c := range map[string]struct {
		url    string
		change func(*config.LDAP)
		want   string
	}{
		"a server that hangs":                {"ldaps://" + hangs, func(*config.LDAP) {}, silent},
		"a server that hangs, with StartTLS": {"ldap://" + hangs, func(l *config.LDAP) { l.StartTLS = true }, silent},
		"a server that hangs, in plain text": {"ldap://" + hangs, func(l *config.LDAP) { l.Insecure = true }, silent},
		"an expired certificate of the server": {"ldaps://" + serve(&tls.Config{Certificates: []tls.Certificate{certificate(expired)}}),
			func(l *config.LDAP) { l.CAFile = filepath.Join(folder, "tls.crt") },
			outdated},
		"an expired client certificate": {"ldaps://" + serve(&tls.Config{Certificates: []tls.Certificate{certificate(valid)},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(expired.Cert)}),
			func(l *config.LDAP) {
				l.CAFile, l.Bind = validFile, config.LDAPBind{Method: config.BindExternal,
					CertificateFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key")}
			},
			"the server demands a client certificate (identity.ldap.bind.certificateFile) that it trusts and that has not expired"},
		"an expired authority": {"ldaps://" + serve(&tls.Config{Certificates: []tls.Certificate{certificate(issued)}}),
			func(l *config.LDAP) { l.CAFile = filepath.Join(folder, "tls.crt") },
			outdated},
		"plain text in place of TLS": {"ldaps://" + listen(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "hello\n") }),
			func(*config.LDAP) {}, "the server does not speak TLS as it is configured here: ldaps:// has it from the start, ldap:// with " +
				"startTLS after a request"},
	} {
		// The cases run in goroutines, because three servers hang for ten seconds each. Of parallel subtests, only a few would
		// run at the same time.
		group.Go(func() {
			configured := config.Default()
			l := &configured.Identity.LDAP
			l.URLs, l.Users.BaseDN = []string{c.url}, slapd.Suffix
			c.change(l)
			remarks, err := ldap.Diagnose(configured, user.Name{})
			if assert.NoError(t, err, name) && assert.Len(t, remarks, 1, name) {
				assert.True(t, strings.HasSuffix(remarks[0].Message, "; "+c.want), "%s: %s", name, remarks[0].Message)
			}
		})
	}
	group.Wait()
}

func pool(certificate []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool
}

// TestServerRestart tests that the cached result is used while the server is gone, and that no lookup fails after the
// restart, although the kept connections have ended.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	server := directory(t, slapd.Options{})
	c := settings(t, server, config.PresetRFC2307)
	c.FreshSeconds = 1
	s := open(t, c)
	for range 3 {
		assert.Equal(t, alice, lookUp(t, s, "alice"))
		server.Kill()
		assert.Contains(t, lookUp(t, s, "alice"), "connection refused")
		id, err := s.Find(t.Context(), named(t, "alice"))
		require.NoError(t, err, "the last good result")
		assert.Equal(t, alice, id.String())
		server.Run(t)
	}
	assert.Equal(t, alice, lookUp(t, s, "alice"))
}

// TestServerHangs uses a server that accepts connections and does not respond. Callers must wait only for a short time,
// cached results must be used, and the number of goroutines must be limited.
func TestServerHangs(t *testing.T) {
	server := directory(t, slapd.Options{})
	c := settings(t, server, config.PresetRFC2307)
	c.WaitMilliseconds, c.FreshSeconds = 100, 1
	s := open(t, c)
	require.Eventually(t, func() bool { return lookUp(t, s, "alice") == alice }, soon, time.Millisecond)
	resume := server.Hang(t)
	defer resume()
	goroutines := runtime.NumGoroutine()
	fresh := time.Now().Add(1100 * time.Millisecond)
	require.Eventually(t, func() bool { return time.Now().After(fresh) }, soon, 10*time.Millisecond, "the cached result is no longer fresh")
	watch := machine.WatchDuring(t)
	const callers = 24
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := range 20 {
				began := time.Now()
				id, err := s.Find(t.Context(), named(t, "alice"))
				assert.NoError(t, err)
				assert.Equal(t, alice, id.String())
				_, err = s.Find(t.Context(), named(t, fmt.Sprintf("user%d", caller*10+i%10)))
				// On a slow machine, a lookup can end by its own timeout of 3 s before its caller's wait ends.
				assert.True(t, errors.Is(err, lookups.ErrSilent) || errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
				watch.Within(t, time.Since(began), time.Second, "two lookups")
			}
		})
	}
	group.Wait()
	// A running lookup has one goroutine, and its connection has two.
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() < goroutines+4*lookups.MaxLookups }, machine.Patience, 10*time.Millisecond)
	resume()
	require.Eventually(t, func() bool { return lookUp(t, s, "bob") == "5004:6003" }, machine.Patience, time.Millisecond)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+20 }, machine.Patience, 10*time.Millisecond)
}

// TestIncompleteResponse tests a response that ends in the middle, after which the connection stays open or is closed.
func TestIncompleteResponse(t *testing.T) {
	t.Parallel()
	server := directory(t, slapd.Options{})
	behind, err := url.Parse(server.LDAP)
	require.NoError(t, err)
	for name, closes := range map[string]bool{"open connection": false, "closed connection": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var passAll atomic.Bool
			address := listen(t, func(c net.Conn) {
				to, err := net.Dial("tcp", behind.Host)
				if err != nil {
					return
				}
				defer to.Close() //nolint:errcheck // the test is over
				go func() { _, _ = io.Copy(to, c) }()
				if passAll.Load() {
					_, _ = io.Copy(c, to)
					return
				}
				_, _ = io.CopyN(c, to, 14+20) // the response to the bind, and the first bytes of the next response
				if !closes {
					_, _ = io.Copy(io.Discard, to)
				}
			})
			c := settings(t, server, config.PresetRFC2307)
			c.URLs, c.Insecure, c.WaitMilliseconds = []string{"ldap://" + address}, true, 500
			s := open(t, c)
			assert.NotContains(t, lookUp(t, s, "alice"), "5003")
			passAll.Store(true)
			require.Eventually(t, func() bool { return lookUp(t, s, "alice") == alice }, machine.Patience, 10*time.Millisecond)
		})
	}
}

// TestTooLargeResponse tests that a lookup fails as soon as the limits for the length or the depth of a response are exceeded.
func TestTooLargeResponse(t *testing.T) {
	t.Parallel()
	nested := "\x04\x00"
	for range 16 {
		nested = "\x30" + string(rune(len(nested))) + nested
	}
	for response, message := range map[string]string{
		"\x30\x84\x7f\xff\xff\xff": "length 2147483647 greater than maximum 1048576",
		nested:                     "nesting depth 16 exceeds maximum 16",
	} {
		address := listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 512)) // the bind
			_, _ = io.WriteString(c, response)
			_, _ = io.Copy(io.Discard, c)
		})
		c := config.Default().Identity.LDAP
		c.URLs, c.Insecure, c.Users.BaseDN, c.WaitMilliseconds = []string{"ldap://" + address}, true, slapd.Suffix, 60_000
		assert.Contains(t, lookUp(t, open(t, c), "alice"), "bind: unable to read LDAP response packet: "+message)
	}
}

// TestSecondServer tests that lookups use the second server while the first hangs, and use the first again after the
// second has failed.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	first, second := directory(t, slapd.Options{}), directory(t, slapd.Options{})
	resume := first.Hang(t)
	defer resume()
	c := settings(t, second, config.PresetRFC2307)
	authorities := file(t, "ca", string(first.Authority.Cert)+string(second.Authority.Cert))
	c.URLs, c.CAFile, c.WaitMilliseconds = []string{first.LDAPS, second.LDAPS}, authorities, 2000
	s := open(t, c)
	require.Eventually(t, func() bool { return lookUp(t, s, "alice") == alice }, machine.Patience, time.Millisecond)
	second.Kill()
	resume()
	require.Eventually(t, func() bool { return lookUp(t, s, "alice") == alice }, machine.Patience, time.Millisecond, "the first is back")
}

// listen calls serve for each connection to the returned address, until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // the connection was served
				serve(c)
			}()
		}
	}()
	return listener.Addr().String()
}
