package ldap

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// advice returns the advice for an admin after an error of connect.
func (d *diagnosis) advice(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "lookup "):
		return "the name of the server cannot be resolved here: correct the host in identity.ldap.urls"
	case strings.HasPrefix(text, "connect:"):
		return "no server listens at that address and port: correct identity.ldap.urls, or let the NetworkPolicies and the " +
			"firewall pass it"
	case strings.Contains(text, "i/o timeout"):
		return "the server accepts connections and does not respond: its admin must look at it"
	case strings.Contains(text, "unknown authority"):
		return "the certificate is signed by another authority than those in identity.ldap.caFile: put the right one there"
	case strings.Contains(text, "certificate has expired or is not yet valid"):
		return "the server's certificate or its authority is not valid at this time: renew what has expired, an authority also in " +
			"identity.ldap.caFile, if the clock is right here"
	case strings.Contains(text, "valid for"):
		return "the certificate is for other names: write one of them in identity.ldap.urls, or have the server's certificate name " +
			"this one"
	case ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials):
		return d.adviceForBind(err)
	case strings.Contains(text, "remote error: tls") && strings.Contains(text, "certificate"),
		// In TLS 1.3 the server denies a client certificate after the handshake. If its alert arrives before the bind is sent,
		// go-ldap says only that the connection is closed.
		d.config.Bind.Method == config.BindExternal && strings.HasSuffix(text, "ldap: connection closed"):
		return "the server demands a client certificate (identity.ldap.bind.certificateFile) that it trusts and that has not expired"
	case strings.HasPrefix(text, "TLS:"), strings.HasPrefix(text, "StartTLS:"):
		return "the server does not speak TLS as it is configured here: ldaps:// has it from the start, ldap:// with startTLS " +
			"after a request"
	}
	return "the server does not take the bind as identity.ldap.bind has it"
}

// adviceForBind returns the advice after a bind with invalid credentials.
func (d *diagnosis) adviceForBind(err error) string {
	switch d.config.Bind.Method {
	case config.BindSimple:
		const advice = "the server does not take identity.ldap.bind.dn with the password in the file"
		if code := adCode.FindStringSubmatch(err.Error()); code != nil && adReasons[code[1]] != "" {
			return fmt.Sprintf("%s: data %s means that %s", advice, code[1], adReasons[code[1]])
		}
		return advice
	case config.BindExternal:
		return "the server has no account for the client certificate identity.ldap.bind.certificateFile, or does not trust its " +
			"authority: configure both in the directory service"
	default:
		return "the server takes no anonymous bind: make an account for the webhook, and write it in identity.ldap.bind"
	}
}

// adCode matches the code that Active Directory adds to the message of a failed bind, and adReasons has the meaning of each
// code.
var (
	adCode    = regexp.MustCompile(`\bdata ([0-9a-f]{3}), v`)
	adReasons = map[string]string{
		"525": "there is no such account",
		"52e": "the password is wrong, or there is no such account",
		"530": "the account may not log on at this time",
		"531": "the account may not log on from this computer",
		"532": "the password of the account has expired",
		"533": "the account is disabled",
		"701": "the account has expired",
		"773": "the password of the account must be changed before it can be used",
		"775": "the account is locked, after too many wrong passwords",
	}
)
