package ldap

import (
	"context"

	"github.com/go-ldap/ldap/v3"
)

// FromHub returns the name of the user who has the hub name, or "" if there is none. The account's attribute for hub names
// (users.hubName) must equal the hub name byte for byte, because two names that differ in case can be two users of a hub.
func (s *Source) FromHub(ctx context.Context, hubName string) (string, error) {
	return value(s.names.Find(ctx, hubName, s.lookName(hubName)))
}

// FromHubUncached does the same as FromHub, but uses no cached result.
func (s *Source) FromHubUncached(ctx context.Context, hubName string) (string, error) {
	return value(s.names.FindUncached(ctx, hubName, s.lookName(hubName)))
}

func value(text *string, err error) (string, error) {
	if text == nil {
		return "", err
	}
	return *text, err
}

func (s *Source) lookName(hubName string) func() (*string, error) {
	return func() (found *string, err error) {
		err = s.servers.query(lookupTime, s.names.Wait, func(c *ldap.Conn) (err error) {
			found, err = s.findName(c, hubName)
			return err
		})
		return found, err
	}
}

func (s *Source) findName(c *ldap.Conn, hubName string) (*string, error) {
	account, err := s.account(c, s.config.Users.HubName, hubName)
	if account == nil || err != nil {
		return nil, err
	}
	if stored, err := s.singleValue(account, s.config.Users.HubName); err != nil || stored != hubName {
		return nil, err
	}
	name, err := s.singleValue(account, s.config.Users.Name)
	if err != nil {
		return nil, err
	}
	return &name, nil
}
