package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const (
	// maxPages is the maximum number of pages that are read: a million accounts.
	maxPages = 2000
	// pageTime is the time limit for one page.
	pageTime = 30 * time.Second
)

// Listed is an account of the directory service.
type Listed struct {
	// Name is the name of the user, or the DN of an account that does not have exactly one name.
	Name string
	UID  int64
	// Fault is the reason why the account is unusable, as the end of a sentence that begins with the name; empty if there is
	// none.
	Fault string
}

// List returns the accounts that have a UID, except those that Active Directory has disabled. If the error is not nil, the
// list is incomplete: it has the accounts that the server sent before the error. The next server is asked only if a server
// fails before it sends an account, because a server cannot continue the list of another server.
func (s *Source) List(ctx context.Context) (accounts []Listed, err error) {
	var failures []error
	for _, server := range s.servers.inOrder() {
		accounts, err = s.listFrom(ctx, server)
		if err == nil {
			return accounts, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", server.address, err))
		if len(accounts) > 0 {
			break
		}
	}
	return accounts, errors.Join(failures...)
}

func (s *Source) listFrom(ctx context.Context, server *server) (accounts []Listed, err error) {
	c, err := s.servers.connect(server, time.Now().Add(pageTime))
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // the list is read
	stop := context.AfterFunc(ctx, func() { _ = c.network.SetDeadline(time.Now()) })
	defer stop()
	page, request := ldap.NewControlPaging(pageSize), s.listRequest()
	request.Controls = []ldap.Control{page}
	for range maxPages {
		if ctx.Err() != nil {
			return accounts, context.Cause(ctx)
		}
		if err := c.network.SetDeadline(time.Now().Add(pageTime)); err != nil {
			return accounts, err
		}
		result, err := c.Search(request)
		if result == nil {
			result = &ldap.SearchResult{}
		}
		for _, entry := range result.Entries {
			if account := s.listed(entry); account != nil {
				accounts = append(accounts, *account)
			}
		}
		next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		switch {
		case err != nil:
			return accounts, searchError(request, err)
		case !ok || len(next.Cookie) == 0:
			return accounts, nil
		}
		page.SetCookie(next.Cookie)
	}
	return accounts, fmt.Errorf("search %s below %q: the server sends more than %d pages", request.Filter, request.BaseDN,
		maxPages)
}

func (s *Source) listRequest() *ldap.SearchRequest {
	users := s.config.Users
	wanted := []string{users.Name, users.UID}
	if s.config.Preset == config.PresetAD {
		wanted = append(wanted, userAccountControl)
	}
	return &ldap.SearchRequest{
		BaseDN: users.BaseDN, Scope: ldap.ScopeWholeSubtree, DerefAliases: ldap.NeverDerefAliases,
		Filter: fmt.Sprintf("(&%s(%s=*))", users.Filter, users.UID), Attributes: wanted,
	}
}

// listed returns the account of an entry, or nil if the account is disabled. If the account has several faults, Fault is the
// one that Find returns.
func (s *Source) listed(entry *ldap.Entry) *Listed {
	var fault error
	if s.config.Preset == config.PresetAD {
		account, err := enabled(entry)
		if account == nil && err == nil {
			return nil
		}
		fault = err
	}
	name, err := s.singleValue(entry, s.config.Users.Name)
	if err != nil {
		return &Listed{Name: entry.DN, Fault: cmp.Or(fault, err).Error()}
	}
	uid, err := s.number(entry, s.config.Users.UID)
	if fault = cmp.Or(fault, err); fault != nil {
		return &Listed{Name: name, Fault: fault.Error()}
	}
	return &Listed{Name: name, UID: uid}
}
