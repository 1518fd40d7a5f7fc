package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// connect makes a connection, encrypts it, and binds. An error names the step that failed.
func (s *servers) connect(server *server, until time.Time) (*connection, error) {
	network, err := (&net.Dialer{Deadline: until}).Dial("tcp", server.address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := network.SetDeadline(until); err != nil {
		_ = network.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn, err := s.encrypt(server, network)
	if err != nil {
		_ = network.Close()
		return nil, err
	}
	if err := s.bind(conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("bind: %w", err)
	}
	return &connection{conn, network}, nil
}

// encrypt starts TLS if TLS is configured. It returns an error if the server does not support TLS, and does not continue in
// plain text.
func (s *servers) encrypt(server *server, network net.Conn) (*ldap.Conn, error) {
	if !server.tls && !s.config.StartTLS {
		conn := ldap.NewConn(network, false)
		conn.Start()
		return conn, nil
	}
	settings, err := s.tlsConfig(server.host)
	if err != nil {
		return nil, err
	}
	if server.tls {
		secured := tls.Client(network, settings)
		if err := secured.Handshake(); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		conn := ldap.NewConn(secured, true)
		conn.Start()
		return conn, nil
	}
	conn := ldap.NewConn(network, false)
	conn.Start()
	if err := conn.StartTLS(settings); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("StartTLS: %w", err)
	}
	return conn, nil
}

// tlsConfig returns the TLS configuration for connections to the host, with the configured authorities and client
// certificate. It reads their files each time, because they can change.
func (s *servers) tlsConfig(host string) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if file := s.config.CAFile; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the authorities (identity.ldap.caFile): %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the authorities (identity.ldap.caFile): there is no certificate in %s", file)
		}
	}
	if s.config.Bind.Method == config.BindExternal {
		pair, err := tls.LoadX509KeyPair(s.config.Bind.CertificateFile, s.config.Bind.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate (identity.ldap.bind): %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

func (s *servers) bind(conn *ldap.Conn) error {
	switch b := s.config.Bind; b.Method {
	case config.BindSimple:
		password, err := readPassword(b.PasswordFile)
		if err != nil {
			return err
		}
		return conn.Bind(b.DN, password)
	case config.BindExternal:
		return conn.ExternalBind()
	default:
		return conn.UnauthenticatedBind("")
	}
}

// readPassword reads a file with a password and an optional line break. An empty password is an error: the server would treat
// the bind as anonymous, and return only what everyone may read.
func readPassword(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the password (identity.ldap.bind.passwordFile): %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if password == "" {
		return "", fmt.Errorf("the password file %s is empty (identity.ldap.bind.passwordFile): with it the server would take the "+
			"webhook for nobody", file)
	}
	return password, nil
}
