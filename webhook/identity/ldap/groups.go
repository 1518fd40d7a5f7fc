package ldap

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

const (
	// maxGroups is the maximum number of groups of one user, including nested groups.
	maxGroups = 2000
	// maxDepth is the maximum depth of groups in groups. Directory services usually have three or four levels. A circle of
	// groups does not need this limit, because each group is looked up once.
	maxDepth = 16
	// pageSize is the number of entries in a page: Active Directory's limit is 1000.
	pageSize = 500
	// batch is the maximum number of members for which one search finds the groups.
	batch = 50
	// primaryGroupID is an attribute of accounts in Active Directory: the last number of the SID of the account's primary group,
	// usually Domain Users. That group does not list the account as a member.
	primaryGroupID = "primaryGroupID"
	objectSid      = "objectSid"
)

// groups returns the GIDs of the groups of an account.
func (s *Source) groups(c *ldap.Conn, account *ldap.Entry, name string) ([]int64, error) {
	if s.config.Groups.BaseDN == "" {
		return nil, nil
	}
	member := account.DN
	if s.config.Groups.MemberIs == config.MemberName {
		member = name
	}
	filters := []string{s.lists(member)}
	if primary := primaryGroup(account); primary != "" && s.config.Preset == config.PresetAD {
		filters = append(filters, primary)
	}
	var gids []int64
	seen := map[string]bool{}
	for range maxDepth + 1 { // The last search must find no more groups.
		found, err := s.findGroups(c, filters)
		if err != nil {
			return nil, err
		}
		filters = nil
		for _, group := range found {
			// A group is found again if a later level or another batch has a member of it. The DN then has the same
			// spelling, because all results come from one server.
			if seen[group.DN] {
				continue
			}
			seen[group.DN] = true
			filters = append(filters, s.lists(group.DN))
			if gids, err = s.appendGID(gids, group); err != nil {
				return nil, err
			}
		}
		if len(seen) > maxGroups {
			return nil, unusable("is in more than %d groups in the directory service", maxGroups)
		}
		if !s.config.Groups.Nested || len(filters) == 0 {
			return gids, nil
		}
	}
	return nil, unusable("is in groups in groups in the directory service, more than %d deep", maxDepth)
}

func (s *Source) appendGID(gids []int64, group *ldap.Entry) ([]int64, error) {
	switch values := group.GetEqualFoldAttributeValues(s.config.Groups.GID); len(values) {
	case 0:
		return gids, nil // a group without a GID
	case 1:
		if gid, ok := identity.ParseNumber(values[0]); ok {
			return append(gids, int64(gid)), nil
		}
	}
	return nil, unusable("is in a group in the directory service whose %s is not one number", s.config.Groups.GID)
}

// lists returns the filter of the groups that list a member.
func (s *Source) lists(member string) string {
	return fmt.Sprintf("(%s=%s)", s.config.Groups.Member, ldap.EscapeFilter(member))
}

// primaryGroup returns the filter of the primary group of an account of Active Directory: the SID of the group is the SID of
// the account with primaryGroupID as its last number. It returns "" if the account does not show both attributes.
func primaryGroup(account *ldap.Entry) string {
	id, err := strconv.ParseUint(account.GetEqualFoldAttributeValue(primaryGroupID), 10, 32)
	sid := account.GetEqualFoldRawAttributeValue(objectSid)
	last := len(sid) - 4 // The last number has four bytes.
	if err != nil || last < 8 {
		return ""
	}
	group := binary.LittleEndian.AppendUint32(slices.Clone(sid[:last]), uint32(id))
	return fmt.Sprintf("(%s=%s)", objectSid, ldap.EscapeFilter(string(group)))
}

// findGroups returns the groups that match at least one of the filters. It stops when it has more than maxGroups.
func (s *Source) findGroups(c *ldap.Conn, filters []string) (found []*ldap.Entry, err error) {
	groups := s.config.Groups
	for len(filters) > 0 {
		some := filters[:min(batch, len(filters))]
		filters = filters[len(some):]
		more, err := searchPaged(c, &ldap.SearchRequest{
			BaseDN: groups.BaseDN, Scope: ldap.ScopeWholeSubtree,
			Filter:     fmt.Sprintf("(&%s(|%s))", groups.Filter, strings.Join(some, "")),
			Attributes: []string{groups.GID},
		}, maxGroups+1)
		if err != nil {
			return nil, err
		}
		if found = append(found, more...); len(found) > maxGroups {
			return found, nil
		}
	}
	return found, nil
}
