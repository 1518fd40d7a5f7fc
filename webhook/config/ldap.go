package config

import "cmp"

// LDAP is a directory service as a source of identities: OpenLDAP, 389 Directory Server, Active Directory and others. The
// webhook uses it if URLs is not empty.
type LDAP struct {
	// URLs are the servers, ldaps://host or ldap://host, each with :port unless the server uses the default port. The
	// first server that responds is used.
	URLs []string `json:"urls"`
	// StartTLS encrypts connections to ldap:// before any other request. If the server does not start TLS, the connection
	// is closed.
	StartTLS bool `json:"startTLS"`
	// Insecure allows ldap:// without StartTLS: an attacker who can change network traffic can be any user.
	Insecure bool `json:"insecure"`
	// CAFile is the file with the certificate authorities of the servers, as PEM. It is read for each connection. If CAFile is
	// empty, the system's certificate authorities are used.
	CAFile string   `json:"caFile"`
	Bind   LDAPBind `json:"bind"`
	// Preset names the kind of directory service whose filters and attributes replace empty fields of Users and Groups.
	Preset LDAPPreset `json:"preset"`
	Users  LDAPUsers  `json:"users"`
	Groups LDAPGroups `json:"groups"`
	// WaitMilliseconds is how long one lookup of a review waits for the directory service. All lookups of a review together
	// wait at most 700 ms.
	WaitMilliseconds int `json:"waitMilliseconds"`
	// FreshSeconds is how long a found account is used without another lookup. FreshMissingSeconds is the same for a missing or
	// unusable account.
	FreshSeconds        int `json:"freshSeconds"`
	FreshMissingSeconds int `json:"freshMissingSeconds"`
	// StaleSeconds is how long a found account is used while lookups fail or no server responds.
	StaleSeconds int `json:"staleSeconds"`
}

// Configured reports whether the directory service is in use.
func (l *LDAP) Configured() bool { return len(l.URLs) > 0 }

// LDAPBind has the settings with which the webhook authenticates to the servers.
type LDAPBind struct {
	Method BindMethod `json:"method"`
	// DN and PasswordFile are for the method Simple. PasswordFile is read for each connection, so a new password needs no
	// restart.
	DN           string `json:"dn"`
	PasswordFile string `json:"passwordFile"`
	// CertificateFile and KeyFile are for the method External: a client certificate and its key, as PEM. Both are read for
	// each connection.
	CertificateFile string `json:"certificateFile"`
	KeyFile         string `json:"keyFile"`
}

// BindMethod is a method of the LDAP bind.
type BindMethod string

const (
	// BindAnonymous binds without credentials.
	BindAnonymous BindMethod = "Anonymous"
	// BindSimple binds with a DN and a password.
	BindSimple BindMethod = "Simple"
	// BindExternal is SASL EXTERNAL: the client certificate of the connection authenticates the webhook.
	BindExternal BindMethod = "External"
)

// LDAPPreset names a kind of directory service, which decides the default filters and attributes.
type LDAPPreset string

const (
	// PresetRFC2307 is for accounts of the class posixAccount, and groups of the class posixGroup that list their members
	// by name (memberUid).
	PresetRFC2307 LDAPPreset = "rfc2307"
	// PresetRFC2307bis is for accounts of the class posixAccount, and groups of the class posixGroup that list their members by DN
	// (member). It also finds FreeIPA's groups that are not POSIX (ipaUserGroup), which matter only if Nested is true.
	PresetRFC2307bis LDAPPreset = "rfc2307bis"
	// PresetAD is for an Active Directory in which accounts have uidNumber and gidNumber, and groups have gidNumber.
	PresetAD LDAPPreset = "ad"
)

// LDAPUsers has the base DN and the filter of the accounts, and the attributes that are read.
type LDAPUsers struct {
	BaseDN string `json:"baseDN"`
	// Filter is the filter that an account must match in addition to its name.
	Filter string `json:"filter"`
	// Name, UID and GID are the attributes with the name, the UID and the GID of the user. Each must have one value.
	Name string `json:"name"`
	UID  string `json:"uid"`
	GID  string `json:"gid"`
	// HubName is the attribute with the hub name of the user, such as mail; empty if the directory service does not map hub
	// names.
	HubName string `json:"hubName"`
	// Home is the attribute with the home, read if share.homePrefix is set.
	Home string `json:"home"`
}

// LDAPGroups has the base DN and the filter of the groups, and the attributes that are read. Without a BaseDN users have
// no supplementary groups.
type LDAPGroups struct {
	BaseDN string `json:"baseDN"`
	Filter string `json:"filter"`
	// Member is the attribute that lists the members, and MemberIs the kind of its values.
	Member   string      `json:"member"`
	MemberIs GroupMember `json:"memberIs"`
	// GID is the attribute with the GID. A group without a GID gives its members no GID, but can be a member of other
	// groups.
	GID string `json:"gid"`
	// Nested decides whether a user also gets the GIDs of the groups that contain the user's groups, directly or through other
	// groups. An account with too many levels of groups is unusable.
	Nested bool `json:"nested"`
}

// GroupMember is the kind of value with which a group lists its members.
type GroupMember string

const (
	// MemberDN means the DN of an account or of a group.
	MemberDN GroupMember = "DN"
	// MemberName means the name of a user.
	MemberName GroupMember = "Name"
)

// presets are the filters and attributes of each kind of directory service.
var presets = map[LDAPPreset]LDAP{
	PresetRFC2307: {
		Users: LDAPUsers{Filter: "(objectClass=posixAccount)", Name: "uid", UID: "uidNumber", GID: "gidNumber",
			Home: "homeDirectory"},
		Groups: LDAPGroups{
			Filter: "(objectClass=posixGroup)", Member: "memberUid", MemberIs: MemberName, GID: "gidNumber",
		},
	},
	PresetRFC2307bis: {
		Users: LDAPUsers{Filter: "(objectClass=posixAccount)", Name: "uid", UID: "uidNumber", GID: "gidNumber",
			Home: "homeDirectory"},
		Groups: LDAPGroups{
			// With groups.nested a group without a GID matters, because it can be a member of a group with a GID. In FreeIPA such
			// a group has the class ipaUserGroup. The filter leaves out the class groupOfNames, because such a group can belong to
			// an application or a user, who then decides about its members.
			Filter: "(|(objectClass=posixGroup)(objectClass=ipaUserGroup))", Member: "member", MemberIs: MemberDN,
			GID: "gidNumber",
		},
	},
	PresetAD: {
		Users: LDAPUsers{
			// In Active Directory, computers have the class "user" too.
			Filter: "(&(objectClass=user)(!(objectClass=computer)))", Name: "sAMAccountName", UID: "uidNumber", GID: "gidNumber",
			Home: "unixHomeDirectory",
		},
		Groups: LDAPGroups{
			// A security group has the highest bit of groupType. Distribution groups are lists of mail addresses, and SSSD does
			// not count them as Unix groups either.
			Filter: "(&(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648))",
			Member: "member", MemberIs: MemberDN, GID: "gidNumber",
		},
	},
}

// DirectoryService returns the settings of the directory service, completed by the preset. Users.Home is empty if
// share.homePrefix is empty.
func (c *Config) DirectoryService() LDAP {
	l := c.Identity.LDAP.WithPreset()
	l.Users.Home = cmp.Or(l.Users.Home, presets[l.Preset].Users.Home)
	if !c.Share.HomesByField() {
		l.Users.Home = ""
	}
	return l
}

// WithPreset returns the settings with empty fields of Users and Groups filled from the preset, except Users.Home.
func (l LDAP) WithPreset() LDAP {
	preset := presets[l.Preset]
	l.Users.Filter = cmp.Or(l.Users.Filter, preset.Users.Filter)
	l.Users.Name = cmp.Or(l.Users.Name, preset.Users.Name)
	l.Users.UID = cmp.Or(l.Users.UID, preset.Users.UID)
	l.Users.GID = cmp.Or(l.Users.GID, preset.Users.GID)
	l.Groups.Filter = cmp.Or(l.Groups.Filter, preset.Groups.Filter)
	l.Groups.Member = cmp.Or(l.Groups.Member, preset.Groups.Member)
	l.Groups.MemberIs = cmp.Or(l.Groups.MemberIs, preset.Groups.MemberIs)
	l.Groups.GID = cmp.Or(l.Groups.GID, preset.Groups.GID)
	return l
}
