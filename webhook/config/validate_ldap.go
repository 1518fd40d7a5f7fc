package config

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxWaitMilliseconds is the largest waitMilliseconds. It leaves time for the rest of a review, which must end within a
// second.
const maxWaitMilliseconds = 600

// validateLDAP also checks the settings if no URL is set, so that mistakes show before the directory service is in use.
func validateLDAP(l *LDAP, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, text := range l.URLs {
		errs = append(errs, faulty(path.Child("urls").Index(i), text, urlFault(text, l))...)
	}
	errs = append(errs, oneOf(path.Child("preset"), l.Preset, PresetRFC2307, PresetRFC2307bis, PresetAD)...)
	errs = append(errs, validateOptionalFile(path.Child("caFile"), l.CAFile)...)
	errs = append(errs, validateBind(l, path.Child("bind"))...)
	errs = append(errs, validateLDAPUsers(l, path.Child("users"))...)
	errs = append(errs, validateLDAPGroups(l, path.Child("groups"))...)
	return append(errs, validateTimes(l, path)...)
}

func urlFault(text string, l *LDAP) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return "must be ldaps://host or ldap://host, with :port if it is not the usual one, and nothing after it"
	case u.Scheme == "ldaps":
		return ""
	case u.Scheme != "ldap":
		return "must begin with ldaps:// or ldap://"
	case !l.StartTLS && !l.Insecure:
		return "is not encrypted, so an attacker on the network could give a user another UID: write ldaps://, or startTLS: true; " +
			"insecure: true allows it"
	}
	return ""
}

func validateOptionalFile(at *field.Path, file string) field.ErrorList {
	if file == "" || path.IsAbs(file) && path.Clean(file) == file {
		return nil
	}
	return field.ErrorList{field.Invalid(at, file, "must be an absolute path, without .. and double slashes")}
}

func validateBind(l *LDAP, path *field.Path) field.ErrorList {
	b := l.Bind
	errs := oneOf(path.Child("method"), b.Method, BindAnonymous, BindSimple, BindExternal)
	if len(errs) > 0 {
		return errs
	}
	for _, f := range []struct {
		key, value string
		method     BindMethod
	}{
		{"dn", b.DN, BindSimple}, {"passwordFile", b.PasswordFile, BindSimple},
		{"certificateFile", b.CertificateFile, BindExternal}, {"keyFile", b.KeyFile, BindExternal},
	} {
		at := path.Child(f.key)
		switch {
		case b.Method == f.method && f.value == "":
			errs = append(errs, field.Required(at, "bind.method "+string(f.method)+" needs this"))
		case b.Method != f.method && f.value != "":
			errs = append(errs, field.Forbidden(at, "is for bind.method "+string(f.method)+", but the method is "+string(b.Method)+
				": remove it, or change the method"))
		case f.key != "dn":
			errs = append(errs, validateOptionalFile(at, f.value)...)
		}
	}
	if b.Method != BindExternal {
		return errs
	}
	return append(errs, faulty(path.Child("method"), b.Method, externalFault(l))...)
}

// externalFault returns what is wrong with the method External for the servers. Active Directory binds a connection to ldaps://
// by its client certificate, and rejects SASL EXTERNAL there ([MS-ADTS] 5.1.1.2).
func externalFault(l *LDAP) string {
	uses := func(scheme string) bool {
		return slices.ContainsFunc(l.URLs, func(url string) bool { return strings.HasPrefix(url, scheme) })
	}
	switch {
	case l.Preset == PresetAD && uses("ldaps:"):
		return "is rejected by Active Directory on ldaps://: write ldap:// and startTLS: true"
	case !l.StartTLS && uses("ldap:"):
		return "needs TLS for the client certificate: write ldaps://, or startTLS: true"
	}
	return ""
}

// attribute matches the name of an attribute, or its OID. It excludes every character that could end a filter.
var attribute = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]{0,79}|[0-9]+(\.[0-9]+){1,30})$`)

func validateAttributes(path *field.Path, named map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range []string{"name", "uid", "gid", "hubName", "home", "member"} {
		if value := named[key]; value != "" && !attribute.MatchString(value) {
			errs = append(errs, field.Invalid(path.Child(key), value, "must be the name of an attribute, such as uidNumber"))
		}
	}
	return errs
}

// validateFilter is a rough check: the filter must be in parentheses, and have as many opening as closing parentheses.
// The LDAP library checks the rest at start.
func validateFilter(at *field.Path, filter string) field.ErrorList {
	inParentheses := strings.HasPrefix(filter, "(") && strings.HasSuffix(filter, ")")
	if filter == "" || inParentheses && strings.Count(filter, "(") == strings.Count(filter, ")") {
		return nil
	}
	return field.ErrorList{field.Invalid(at, filter, "must be a filter in parentheses, such as (objectClass=posixAccount)")}
}

func validateLDAPUsers(l *LDAP, path *field.Path) field.ErrorList {
	u := l.Users
	errs := validateFilter(path.Child("filter"), u.Filter)
	if l.Configured() && u.BaseDN == "" {
		errs = append(errs, field.Required(path.Child("baseDN"), "write the DN below which the accounts are, such as "+
			"ou=people,dc=example,dc=org"))
	}
	if u.HubName != "" && !l.Configured() {
		errs = append(errs, field.Forbidden(path.Child("hubName"), "no directory service is configured, so every hub name "+
			"would be unknown: write its servers in identity.ldap.urls, or remove this"))
	}
	return append(errs, validateAttributes(path, map[string]string{
		"name": u.Name, "uid": u.UID, "gid": u.GID, "hubName": u.HubName, "home": u.Home,
	})...)
}

func validateLDAPGroups(l *LDAP, path *field.Path) field.ErrorList {
	g := l.Groups
	errs := validateFilter(path.Child("filter"), g.Filter)
	if g.MemberIs != "" {
		errs = append(errs, oneOf(path.Child("memberIs"), g.MemberIs, MemberDN, MemberName)...)
	}
	if g.Nested && l.WithPreset().Groups.MemberIs == MemberName {
		errs = append(errs, field.Invalid(path.Child("nested"), g.Nested, "groups that list their members by name contain no "+
			"groups: write false, or memberIs: DN and the attribute that has DNs"))
	}
	return append(errs, validateAttributes(path, map[string]string{"member": g.Member, "gid": g.GID})...)
}

func validateTimes(l *LDAP, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		key            string
		value, highest int
	}{
		{"waitMilliseconds", l.WaitMilliseconds, maxWaitMilliseconds}, {"freshSeconds", l.FreshSeconds, 3600},
		{"freshMissingSeconds", l.FreshMissingSeconds, 3600}, {"staleSeconds", l.StaleSeconds, 86400},
	} {
		if f.value < 1 || f.value > f.highest {
			errs = append(errs, field.Invalid(path.Child(f.key), f.value, fmt.Sprintf("must be between 1 and %d", f.highest)))
		}
	}
	return errs
}
