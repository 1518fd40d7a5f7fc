package ldap

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Remark is one result of Diagnose.
type Remark struct {
	Kind RemarkKind
	// Server is the URL of the server that the remark is about.
	Server  string
	Message string
	// Identity is the user's identity, in the remark that reports it; nil in all other remarks.
	Identity *identity.Identity
}

// RemarkKind is the severity of a remark.
type RemarkKind string

// The kinds of remark.
const (
	RemarkOK      RemarkKind = "ok"
	RemarkWarning RemarkKind = "warning"
	RemarkFailed  RemarkKind = "failed"
)

// diagnosisTime is the time limit for the diagnosis of one server.
const diagnosisTime = 10 * time.Second

// Diagnose asks each server of the configuration as the webhook does. The remarks are about the connection, the certificate,
// the bind, the base DNs of accounts and groups, the attributes, the hub names, and the members of groups. If a user is given,
// they are also about the account of this user. If the connection, a base DN or the search for any account fails, the later
// steps are skipped. Diagnose returns an error if a local file of the configuration, such as the password file, is unusable.
func Diagnose(c *config.Config, name user.Name) ([]Remark, error) {
	s := &Source{config: c.DirectoryService()}
	var err error
	if s.servers, err = newServers(&s.config); err != nil {
		return nil, err
	}
	var remarks []Remark
	for i, server := range s.servers.list {
		d := &diagnosis{Source: s, share: &c.Share, server: s.config.URLs[i]}
		d.run(server, name)
		remarks = append(remarks, d.remarks...)
	}
	return remarks, nil
}

type diagnosis struct {
	*Source
	share   *config.Share
	server  string
	remarks []Remark
}

func (d *diagnosis) say(kind RemarkKind, format string, args ...any) {
	d.remarks = append(d.remarks, Remark{Kind: kind, Server: d.server, Message: fmt.Sprintf(format, args...)})
}

func (d *diagnosis) run(server *server, name user.Name) {
	c, err := d.servers.connect(server, time.Now().Add(diagnosisTime))
	if err != nil {
		d.say(RemarkFailed, "%v; %s", err, d.advice(err))
		return
	}
	defer c.Close() //nolint:errcheck // all responses are read
	d.say(RemarkOK, "the connection is made, and the server takes the bind (%s)", d.config.Bind.Method)
	if !d.base(c.Conn, "users.baseDN", d.config.Users.BaseDN) || !d.sample(c.Conn) {
		return
	}
	d.hubNames(c.Conn)
	if base := d.config.Groups.BaseDN; base != "" {
		if !d.base(c.Conn, "groups.baseDN", base) {
			return
		}
		d.members(c.Conn)
	}
	if name != (user.Name{}) {
		d.account(c.Conn, name.String())
	}
}

func (d *diagnosis) base(c *ldap.Conn, key, dn string) bool {
	_, err := search(c, &ldap.SearchRequest{
		BaseDN: dn, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attributes: noAttributes,
	})
	if err != nil {
		d.say(RemarkFailed, "identity.ldap.%s: %v", key, err)
		return false
	}
	return true
}

// searchOne searches below base for an entry that matches the filter and has the attribute that the argument "having" names. It
// returns the given attributes of the first page, which has one entry.
func searchOne(c *ldap.Conn, base, filter, having string, attributes []string) ([]*ldap.Entry, error) {
	return search(c, &ldap.SearchRequest{
		BaseDN: base, Scope: ldap.ScopeWholeSubtree, Filter: fmt.Sprintf("(&%s(%s=*))", filter, having),
		Attributes: attributes, Controls: []ldap.Control{ldap.NewControlPaging(1)},
	})
}

// sample checks that the webhook finds an account and can read its name, UID and GID.
func (d *diagnosis) sample(c *ldap.Conn) bool {
	users := d.config.Users
	found, err := searchOne(c, users.BaseDN, users.Filter, users.UID,
		[]string{users.Name, users.UID, users.GID, writableAttributes})
	switch {
	case len(found) == 0 && err != nil:
		d.say(RemarkFailed, "identity.ldap.users: %v", err)
		return false
	case len(found) == 0:
		d.say(RemarkFailed, "no account below %q matches %s and has %s: correct identity.ldap.users, or let the account that the "+
			"webhook binds as read it", users.BaseDN, users.Filter, users.UID)
		return false
	}
	for _, attribute := range []string{users.Name, users.UID, users.GID} {
		if len(found[0].GetEqualFoldAttributeValues(attribute)) == 0 {
			d.say(RemarkFailed, "the account %s has no %s, or the webhook cannot read it: correct "+
				"identity.ldap.users", found[0].DN, attribute)
			return false
		}
	}
	d.say(RemarkOK, "accounts are found below %q, with %s, %s and %s", users.BaseDN, users.Name, users.UID, users.GID)
	d.writable(found[0])
	return true
}

// hubNames checks that the webhook finds a user by a hub name, if the directory service maps hub names (users.hubName).
func (d *diagnosis) hubNames(c *ldap.Conn) {
	users := d.config.Users
	if users.HubName == "" {
		return
	}
	withUID := fmt.Sprintf("(&%s(%s=*))", users.Filter, users.UID)
	found, err := searchOne(c, users.BaseDN, withUID, users.HubName, []string{users.HubName})
	if err != nil && len(found) == 0 {
		d.say(RemarkFailed, "identity.ldap.users.hubName: %v", err)
		return
	}
	var hubNames []string
	if len(found) > 0 {
		hubNames = found[0].GetEqualFoldAttributeValues(users.HubName)
	}
	if len(hubNames) == 0 {
		d.say(RemarkFailed, "no account below %q matches %s and shows a %s, so no hub name has a user: correct "+
			"identity.ldap.users.hubName, or let the account that the webhook binds as read it", users.BaseDN, users.Filter,
			users.HubName)
		return
	}
	sample := hubNames[0]
	switch name, err := d.findName(c, sample); {
	case err != nil:
		d.say(RemarkWarning, "%s has the hub name %s, and no user is found by it (%v)", found[0].DN, sample, err)
	case name == nil:
		d.say(RemarkWarning, "%s has the hub name %s, and no user is found by it: the account is disabled", found[0].DN, sample)
	case sample != strings.ToLower(sample):
		d.say(RemarkWarning, "hub names are found by %s, such as %s for %s: JupyterHub's authenticators mostly make names lower "+
			"case, and names are compared byte for byte", users.HubName, sample, *name)
	default:
		d.say(RemarkOK, "hub names are found by %s: %s is %s", users.HubName, sample, *name)
	}
}

// members adds a warning if the webhook finds no group with a member. Users then silently have no supplementary groups.
func (d *diagnosis) members(c *ldap.Conn) {
	groups := d.config.Groups
	found, err := searchOne(c, groups.BaseDN, groups.Filter, groups.Member, noAttributes)
	switch {
	case len(found) > 0:
	case err != nil:
		d.say(RemarkWarning, "identity.ldap.groups: %v", err)
	default:
		d.say(RemarkWarning, "no group below %q matches %s and shows a %s, so users have no supplementary groups: let the account "+
			"that the webhook binds as read that attribute (FreeIPA shows it to no anonymous bind), or correct identity.ldap.preset "+
			"or identity.ldap.groups", groups.BaseDN, groups.Filter, groups.Member)
	}
}

// writableAttributes is the attribute of Active Directory that lists the attributes that the bound account may write.
const writableAttributes = "allowedAttributesEffective"

// writable adds a warning if the bound account can write an attribute that the webhook reads. Only Active Directory shows
// this, and only for the bound account.
func (d *diagnosis) writable(account *ldap.Entry) {
	users := d.config.Users
	var writable []string
	for _, attribute := range account.GetEqualFoldAttributeValues(writableAttributes) {
		same := func(own string) bool { return own != "" && strings.EqualFold(own, attribute) }
		if slices.ContainsFunc([]string{users.Name, users.UID, users.GID, users.HubName, users.Home}, same) {
			writable = append(writable, attribute)
		}
	}
	if len(writable) > 0 {
		d.say(RemarkWarning, "the account that the webhook binds as may write %s of %s: let it read alone, and see that no user "+
			"may write it either", strings.Join(writable, ", "), account.DN)
	}
}

func (d *diagnosis) account(c *ldap.Conn, name string) {
	id, err := d.find(c, name)
	switch {
	case identity.IsUnusable(err):
		d.say(RemarkFailed, "%s %v", name, err)
	case err != nil:
		d.say(RemarkFailed, "%v", err)
	case id == nil:
		d.say(RemarkFailed, "%s has no account below %q that matches %s, or a disabled one: names are compared byte for byte", name,
			d.config.Users.BaseDN, d.config.Users.Filter)
	default:
		groups := make([]string, len(id.Groups))
		for i, gid := range id.Groups {
			groups[i] = fmt.Sprint(gid)
		}
		d.remarks = append(d.remarks, Remark{Kind: RemarkOK, Server: d.server, Identity: id, Message: fmt.Sprintf(
			"%s has UID %d and GID %d, and is in the groups [%s]", name, id.UID, id.GID, strings.Join(groups, " "))})
		d.home(name, id.Home)
	}
}

// home adds a remark with the path of a user's home on the share, if homes come from the directory service.
func (d *diagnosis) home(name, homeField string) {
	if !d.share.HomesByField() {
		return
	}
	home, why := d.share.HomeOf(name, homeField)
	if why != "" {
		d.say(RemarkFailed, "the home field of %s, %q, %s", name, homeField, why)
		return
	}
	d.say(RemarkOK, "the home of %s is %s on the share", name, home)
}
