package webhook

import (
	"context"
	"errors"
	"sync"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Identities finds the identities of users at admission. The context has a deadline, at which an implementation must
// return.
type Identities interface {
	// Find returns the identity, or nil if no source knows the user. It returns an *identity.Unusable or a *Disagreement if
	// the user has no usable identity. Any other error means that the lookup failed.
	Find(ctx context.Context, name user.Name) (*identity.Identity, error)
	// FindUncached does the same as Find, but never returns a cached result.
	FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error)
}

// Fixed returns the same identity for every user. It is for callers that already know the identity.
type Fixed struct{ identity.Identity }

// Find returns the fixed identity.
func (f Fixed) Find(context.Context, user.Name) (*identity.Identity, error) {
	return &f.Identity, nil
}

// FindUncached is Find: there is no cache.
func (f Fixed) FindUncached(context.Context, user.Name) (*identity.Identity, error) {
	return &f.Identity, nil
}

// Source finds identities in one place, such as the directory service. Name is the name of that place in messages.
type Source struct {
	Name denial.Source
	Identities
}

// Agreeing is a list of one or more sources that are asked at the same time: each must know the user, with the same UID.
// GID, groups and home are those of the first source.
type Agreeing []Source

// Find returns the first source's identity of a user whom all sources know with the same UID; nil if no source knows the user.
func (s Agreeing) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.agree(ctx, name, Identities.Find)
}

// FindUncached does the same as Find, without the caches of the sources.
func (s Agreeing) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.agree(ctx, name, Identities.FindUncached)
}

// agree combines the results of the sources. It waits for all of them, because each source can change the result. The first
// line that applies decides:
//
//	the sources                                     agree returns
//	one fails, or does not respond in time          its error (the user can try again)
//	one has an unusable account of the user         its error
//	none knows the user                             nil
//	some do not know the user, or the UIDs differ   a *Disagreement
//	all know the user, with the same UID            the identity of the first source
func (s Agreeing) agree(ctx context.Context, name user.Name, lookup finder) (*identity.Identity, error) {
	known, errs := make([]*identity.Identity, len(s)), make([]error, len(s))
	var others sync.WaitGroup
	for i, source := range s[1:] {
		others.Go(func() { known[i+1], errs[i+1] = lookup(source, ctx, name) })
	}
	known[0], errs[0] = lookup(s[0], ctx, name)
	others.Wait()
	for _, err := range errs {
		if err != nil && !identity.IsUnusable(err) {
			return nil, err
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	missing, sameUID := 0, true
	for _, id := range known {
		switch {
		case id == nil:
			missing++
		case known[0] != nil && id.UID != known[0].UID:
			sameUID = false
		}
	}
	switch {
	case missing == len(s):
		return nil, nil
	case missing > 0 || !sameUID:
		return nil, s.disagreement(name, known)
	}
	return known[0], nil
}

func (s Agreeing) disagreement(name user.Name, known []*identity.Identity) *Disagreement {
	d := &Disagreement{name: name}
	for i, source := range s {
		account := denial.Account{Source: source.Name, UID: -1}
		if known[i] != nil {
			account.UID = known[i].UID
		}
		d.accounts = append(d.accounts, account)
	}
	return d
}

// Disagreement is the error of sources that disagree about a user whom at least one of them knows.
type Disagreement struct {
	name     user.Name
	accounts []denial.Account
}

// Error returns the message of the denial IdentityDisputed.
func (d *Disagreement) Error() string {
	return denial.IdentityDisputed(d.name.String(), d.accounts).Message
}

// IsFinal reports whether an error of Identities is a result and not a failed lookup: all sources have responded, and by
// their responses the user has no usable identity.
func IsFinal(err error) bool {
	_, disputed := errors.AsType[*Disagreement](err)
	return disputed || identity.IsUnusable(err)
}

// identityDenial returns the denial for an error of Identities.
func identityDenial(name user.Name, err error) denial.Denial {
	if d, ok := errors.AsType[*Disagreement](err); ok {
		return denial.IdentityDisputed(name.String(), d.accounts)
	}
	if unusable, ok := errors.AsType[*identity.Unusable](err); ok {
		return unusableDenial(name.String(), unusable)
	}
	return denial.IdentitySilent(name.String())
}

func unusableDenial(name string, u *identity.Unusable) denial.Denial {
	switch {
	case u.Parent == nil:
		return denial.IdentityUnusable(name, u.Why)
	case u.Parent.Link:
		return denial.HomeBehindLink(name, u.Parent.Dir)
	case u.Parent.Mode != 0:
		return denial.HomeInWritable(name, u.Parent.Dir, u.Parent.Mode)
	}
	if err := identity.CheckOwner(u.Parent.Owner); err != nil {
		return denial.HomeInUnknown(name, u.Parent.Dir, err.Error())
	}
	return denial.HomeInUsers(name, u.Parent.Dir, u.Parent.Owner)
}
