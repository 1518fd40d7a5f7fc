package homes

import (
	"context"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Account is an account that a source of identities lists. Only its name is trusted: the sources are asked again for the owner
// of a missing home.
type Account struct {
	Name string
	// UID must own an existing home; AnyUID if the UID is unknown.
	UID int64
	// Fault is the reason why the account is not a user's; empty if it is a user's. The message puts it after the name.
	Fault string
}

// AnyUID means that the UID is unknown.
const AnyUID = -1

// Unite returns the accounts in the order of their names, each name once. If a name has several UIDs, it has AnyUID.
func Unite(accounts []Account) []Account {
	slices.SortStableFunc(accounts, func(a, b Account) int { return strings.Compare(a.Name, b.Name) })
	united := accounts[:0]
	for _, a := range accounts {
		last := len(united) - 1
		if last < 0 || united[last].Name != a.Name {
			united = append(united, a)
			continue
		}
		if united[last].UID != a.UID {
			united[last].UID = AnyUID
		}
	}
	return united
}

// Known are the identities of a list.
type Known map[string]identity.Identity

// Find returns the identity of a user, nil if the list does not have the user.
func (k Known) Find(_ context.Context, name user.Name) (*identity.Identity, error) {
	if id, ok := k[name.String()]; ok {
		return &id, nil
	}
	return nil, nil
}

// FindUncached returns the same as Find, because a list has no cache.
func (k Known) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return k.Find(ctx, name)
}
