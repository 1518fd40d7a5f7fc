package ldap

import (
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// search returns the entries of a search. With an error it also returns the entries that the server sent before the error.
// The library enforces the size limit of the request, because not every server does: Samba returns all entries.
func search(c *ldap.Conn, request *ldap.SearchRequest) ([]*ldap.Entry, error) {
	request.DerefAliases, request.EnforceSizeLimit = ldap.NeverDerefAliases, true
	result, err := c.Search(request)
	if result == nil {
		result = &ldap.SearchResult{}
	}
	if err != nil {
		return result.Entries, searchError(request, err)
	}
	return result.Entries, nil
}

// searchPaged returns the entries of a search, read page by page. It reads no more pages when it has tooMany entries or
// more.
func searchPaged(c *ldap.Conn, request *ldap.SearchRequest, tooMany int) (found []*ldap.Entry, err error) {
	page := ldap.NewControlPaging(pageSize)
	request.DerefAliases, request.Controls = ldap.NeverDerefAliases, []ldap.Control{page}
	for {
		result, err := c.Search(request)
		if err != nil {
			return nil, searchError(request, err)
		}
		found = append(found, result.Entries...)
		next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(next.Cookie) == 0 || len(found) >= tooMany {
			return found, nil
		}
		page.SetCookie(next.Cookie)
	}
}

// searchError adds the search to an error, and for some errors what an admin can do. Base DN and filter contain no secret.
func searchError(request *ldap.SearchRequest, err error) error {
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultReferral):
		return fmt.Errorf("search below %q: the server refers to another one, which is not followed: name the server that has it in "+
			"identity.ldap.urls: %w", request.BaseDN, err)
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return fmt.Errorf("search below %q: the server has no such entry, or hides it from the account that the webhook binds as: %w",
			request.BaseDN, err)
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return fmt.Errorf("search %s below %q: the server returns no more entries than its limit: raise it for the account that the "+
			"webhook binds as: %w", request.Filter, request.BaseDN, err)
	}
	return fmt.Errorf("search %s below %q: %w", request.Filter, request.BaseDN, err)
}
