// Package ldap finds the identity of a user in a directory service: OpenLDAP and similar servers with the schema of RFC 2307
// or 2307bis, and Active Directory with POSIX attributes. It returns UID, GID, supplementary groups and, with
// share.homePrefix, the home field. If users.hubName is configured, it also returns the user of a hub name.
//
// A lookup of an identity makes these searches:
//
//  1. (&<users.filter>(<users.name>=alice)) must not return more than one account. The account's name must be alice byte
//     for byte, because servers compare names without case. UID and GID must have one value each.
//  2. (&<groups.filter>(<groups.member>=<DN or name of the account>)) returns the groups of the account, a page at a time.
//     The attribute with the members is not read. In Active Directory it also returns the account's primary group.
//  3. With groups.nested, search 2 is repeated for the groups that it has found, until it finds no new group.
//
// Continuation references are ignored, and referrals are not followed: they name other servers.
package ldap

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// lookupTime is the time limit of a lookup. It is longer than callers wait (waitMilliseconds), because the result of a late
// lookup is cached for later callers. While a late lookup runs, callers with a cached result do not wait.
const lookupTime = 3 * time.Second

// Source implements webhook.Identities and webhook.HubNames. It is safe for concurrent use.
type Source struct {
	config   config.LDAP
	servers  *servers
	accounts *lookups.Finder[identity.Identity]
	names    *lookups.Finder[string]
}

// Open returns a source. It reads the local files of the configuration, so that a mistake in them is an error at start. An error
// of the servers is only logged, because the webhook must start without them.
func Open(ctx context.Context, settings config.LDAP, registry prometheus.Registerer, log *slog.Logger) (*Source, error) {
	s := &Source{config: settings.WithPreset()}
	for _, filter := range []string{s.config.Users.Filter, s.config.Groups.Filter} {
		if _, err := ldap.CompileFilter(filter); err != nil {
			return nil, fmt.Errorf("the filter %s: %w", filter, err)
		}
	}
	var err error
	if s.servers, err = newServers(&s.config); err != nil {
		return nil, err
	}
	options := lookups.Options{
		Source: "ldap", What: "the directory service", Registry: registry,
		Wait:         time.Duration(settings.WaitMilliseconds) * time.Millisecond,
		Fresh:        time.Duration(settings.FreshSeconds) * time.Second,
		FreshMissing: time.Duration(settings.FreshMissingSeconds) * time.Second,
		Stale:        time.Duration(settings.StaleSeconds) * time.Second,
	}
	if s.accounts, err = lookups.NewFinder[identity.Identity](options); err != nil {
		return nil, err
	}
	options.Source = "ldap-names"
	if s.names, err = lookups.NewFinder[string](options); err != nil {
		return nil, err
	}
	// Lookup caches the result under the key ".", which cannot be the name of a user.
	if _, err := s.accounts.Lookup(ctx, ".", s.lookAtBase); err != nil && log != nil {
		log.Error("the directory service cannot be asked now", "fault", err.Error())
	}
	return s, nil
}

// Find returns the identity of a user; nil if there is no enabled account of this name. It returns an error if the account
// is unusable, or if the lookup fails and no identity is cached.
func (s *Source) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.accounts.Find(ctx, name.String(), s.lookAccount(name.String()))
}

// FindUncached does the same as Find, but uses no cached result.
func (s *Source) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.accounts.FindUncached(ctx, name.String(), s.lookAccount(name.String()))
}

func (s *Source) lookAccount(name string) lookups.Look[identity.Identity] {
	return func() (found *identity.Identity, err error) {
		err = s.servers.query(lookupTime, s.accounts.Wait, func(c *ldap.Conn) (err error) {
			found, err = s.find(c, name)
			return err
		})
		return found, err
	}
}

func (s *Source) lookAtBase() (*identity.Identity, error) {
	return nil, s.servers.query(lookupTime, s.accounts.Wait, func(c *ldap.Conn) error {
		_, err := search(c, &ldap.SearchRequest{
			BaseDN: s.config.Users.BaseDN, Scope: ldap.ScopeBaseObject, Filter: "(objectClass=*)", Attributes: noAttributes,
		})
		return err
	})
}

// noAttributes requests no attributes, by the OID that RFC 4511 has for this purpose.
var noAttributes = []string{"1.1"}
