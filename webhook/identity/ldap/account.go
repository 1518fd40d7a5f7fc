package ldap

import (
	"fmt"
	"strconv"

	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

const (
	// userAccountControl is Active Directory's attribute with the switches of an account, and disabled is the switch that
	// disables the account (ADS_UF_ACCOUNTDISABLE).
	userAccountControl = "userAccountControl"
	disabled           = 0x2
)

// find returns the identity of a user, or nil if there is no enabled account with exactly this name.
func (s *Source) find(c *ldap.Conn, name string) (*identity.Identity, error) {
	account, err := s.account(c, s.config.Users.Name, name)
	if account == nil || err != nil {
		return nil, err
	}
	// Servers compare names without case, and some without accents or spaces. On the share, names that differ in this way
	// are different users.
	if stored, err := s.singleValue(account, s.config.Users.Name); err != nil || stored != name {
		return nil, err
	}
	uid, err := s.number(account, s.config.Users.UID)
	if err != nil {
		return nil, err
	}
	gid, err := s.number(account, s.config.Users.GID)
	if err != nil {
		return nil, err
	}
	groups, err := s.groups(c, account, name)
	if err != nil {
		return nil, err
	}
	id := identity.New(uid, gid, groups)
	if s.config.Users.Home != "" {
		if id.Home, err = s.singleValue(account, s.config.Users.Home); err != nil {
			return nil, err
		}
	}
	return &id, nil
}

// account returns the account whose attribute has the value, by the server's comparison; nil if there is none, or if the
// account is disabled. Several accounts with the value are an error.
func (s *Source) account(c *ldap.Conn, attribute, value string) (*ldap.Entry, error) {
	users := s.config.Users
	filter := fmt.Sprintf("(&%s(%s=%s))", users.Filter, attribute, ldap.EscapeFilter(value))
	wanted := []string{users.Name, users.UID, users.GID}
	for _, optional := range []string{users.HubName, users.Home} {
		if optional != "" {
			wanted = append(wanted, optional)
		}
	}
	if s.config.Preset == config.PresetAD {
		wanted = append(wanted, userAccountControl, primaryGroupID, objectSid)
	}
	// Two accounts are enough to find out that there are several.
	found, err := search(c, &ldap.SearchRequest{
		BaseDN: users.BaseDN, Scope: ldap.ScopeWholeSubtree, Filter: filter, Attributes: wanted, SizeLimit: 2,
	})
	switch {
	case len(found) > 1:
		return nil, unusable("is the %s of several accounts in the directory service", attribute)
	case err != nil || len(found) == 0:
		return nil, err
	}
	if s.config.Preset == config.PresetAD {
		return enabled(found[0])
	}
	return found[0], nil
}

// enabled returns the account, or nil if it is disabled in Active Directory. An account without userAccountControl is unusable.
func enabled(account *ldap.Entry) (*ldap.Entry, error) {
	text := account.GetEqualFoldAttributeValue(userAccountControl)
	switches, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, unusable("has no %s that the webhook can read, which says whether an account is disabled", userAccountControl)
	}
	if switches&disabled != 0 {
		return nil, nil
	}
	return account, nil
}

// singleValue returns the value of an attribute that must have exactly one value.
func (s *Source) singleValue(account *ldap.Entry, attribute string) (string, error) {
	switch values := account.GetEqualFoldAttributeValues(attribute); len(values) {
	case 1:
		return values[0], nil
	case 0:
		if s.config.Preset == config.PresetAD && (attribute == s.config.Users.UID || attribute == s.config.Users.GID) {
			return "", unusable("has no %s in Active Directory: the account needs the POSIX attributes %s and %s, because IDs that "+
				"SSSD computes out of a SID are not the webhook's", attribute, s.config.Users.UID, s.config.Users.GID)
		}
		return "", unusable("has no %s in the directory service", attribute)
	default:
		return "", unusable("has %d values of %s in the directory service, and must have one", len(values), attribute)
	}
}

// number returns the value of an attribute that must be one number, in canonical decimal form.
func (s *Source) number(account *ldap.Entry, attribute string) (int64, error) {
	text, err := s.singleValue(account, attribute)
	if err != nil {
		return 0, err
	}
	n, ok := identity.ParseNumber(text)
	if !ok {
		return 0, unusable("has a %s in the directory service that is not a number from 0 to 4294967295", attribute)
	}
	return int64(n), nil
}

func unusable(format string, args ...any) error {
	return &identity.Unusable{Why: fmt.Sprintf(format, args...)}
}
