package ldap

import (
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
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
)

// groups returns the GIDs of the groups of an account.
func (s *Source) groups(c *ldap.Conn, dn, name string) ([]int64, error) {
	if s.config.Groups.BaseDN == "" {
		return nil, nil
	}
	members := []string{dn}
	if s.config.Groups.MemberIs == config.MemberName {
		members = []string{name}
	}
	var gids []int64
	seen := map[string]bool{}
	for range maxDepth + 1 { // The last search must find no more groups.
		found, err := s.groupsOf(c, members)
		if err != nil {
			return nil, err
		}
		members = nil
		for _, group := range found {
			// A group is found again if a later level or another batch has a member of it. The DN then has the same
			// spelling, because all results come from one server.
			if seen[group.DN] {
				continue
			}
			seen[group.DN] = true
			members = append(members, group.DN)
			if gids, err = s.appendGID(gids, group); err != nil {
				return nil, err
			}
		}
		if len(seen) > maxGroups {
			return nil, unusable("is in more than %d groups in the directory service", maxGroups)
		}
		if !s.config.Groups.Nested || len(members) == 0 {
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
		if gid, ok := parseNumber(values[0]); ok {
			return append(gids, gid), nil
		}
	}
	return nil, unusable("is in a group in the directory service whose %s is not one number", s.config.Groups.GID)
}

// groupsOf returns the groups that list at least one of the members. It stops when it has more than maxGroups.
func (s *Source) groupsOf(c *ldap.Conn, members []string) (found []*ldap.Entry, err error) {
	groups := s.config.Groups
	for len(members) > 0 {
		some := members[:min(batch, len(members))]
		members = members[len(some):]
		var any strings.Builder
		for _, member := range some {
			fmt.Fprintf(&any, "(%s=%s)", groups.Member, ldap.EscapeFilter(member))
		}
		more, err := searchPaged(c, &ldap.SearchRequest{
			BaseDN: groups.BaseDN, Scope: ldap.ScopeWholeSubtree, Filter: fmt.Sprintf("(&%s(|%s))", groups.Filter, any.String()),
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
