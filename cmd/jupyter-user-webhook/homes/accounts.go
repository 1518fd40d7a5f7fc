package homes

import (
	"context"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Account is an account that a source of identities lists, or a user that --user names. The owner of a missing home is not
// taken from the Account: the sources look up the identity again by the name.
type Account struct {
	Name string
	// UID is the UID to which the user's directory must belong if the directory exists already. It is AnyUID if the UID is
	// not known: then any owner is accepted.
	UID int64
	// Fault is the reason why the account is no user, such as "has no uid"; empty if the account is a user. In messages, it
	// follows the name.
	Fault string
}

// AnyUID is the UID of an Account whose UID is not known.
const AnyUID = -1

// Unite returns the accounts in the order of their names, with one account for each name. The UID is AnyUID if the accounts
// of a name have several UIDs. The Fault is that of the first account with the name. Unite overwrites the given slice.
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

// Known are identities by the name of the user.
type Known map[string]identity.Identity

// Find returns the identity of a user, or nil for an unknown user.
func (k Known) Find(_ context.Context, name user.Name) (*identity.Identity, error) {
	if id, ok := k[name.String()]; ok {
		return &id, nil
	}
	return nil, nil
}

// FindUncached is Find: there is no cache.
func (k Known) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return k.Find(ctx, name)
}
