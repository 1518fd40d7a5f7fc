package webhook

import (
	"context"
	"errors"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Identities knows people's UIDs and GIDs before their pods exist. It answers fast or not at all: a deadline is on the
// context.
type Identities interface {
	// Find answers nil for a user whom it does not know, and an error where it cannot tell.
	Find(ctx context.Context, name user.Name) (*identity.Identity, error)
	// FindUncached is Find without what is remembered.
	FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error)
}

// Fixed is one identity for whoever is asked for: where it is known already who that is.
type Fixed struct{ identity.Identity }

// Find answers it.
func (e Fixed) Find(context.Context, user.Name) (*identity.Identity, error) {
	return &e.Identity, nil
}

// FindUncached answers it.
func (e Fixed) FindUncached(context.Context, user.Name) (*identity.Identity, error) {
	return &e.Identity, nil
}

// Agreeing are two that have to agree: Passwd knows a person's groups, and Share is the truth about whose the home is. Where one of
// them does not know the person, or they name different UIDs, the error is a *Disagreement. The GID is passwd's.
type Agreeing struct{ Passwd, Share Identities }

// Find asks both.
func (b Agreeing) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return agree(ctx, name, b.Passwd.Find, b.Share.Find)
}

// FindUncached asks both, and they do not go by what they remember.
func (b Agreeing) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return agree(ctx, name, b.Passwd.FindUncached, b.Share.FindUncached)
}

type findFunc func(context.Context, user.Name) (*identity.Identity, error)

func agree(ctx context.Context, name user.Name, inPasswd, onShare findFunc) (*identity.Identity, error) {
	account, err := inPasswd(ctx, name)
	if err != nil {
		return nil, err
	}
	owner, err := onShare(ctx, name)
	if err != nil {
		return nil, err
	}
	switch {
	case account == nil && owner == nil:
		return nil, nil
	case account == nil || owner == nil || account.UID != owner.UID:
		return nil, &Disagreement{name: name, account: account, owner: owner}
	}
	return account, nil
}

// Disagreement of passwd and share about one person, whom at least one of them knows.
type Disagreement struct {
	name           user.Name
	account, owner *identity.Identity
}

// Error is the sentence for the person.
func (d *Disagreement) Error() string { return d.denial().Message }

func (d *Disagreement) denial() denial.Denial {
	switch name := d.name.String(); {
	case d.account == nil:
		return denial.AccountMissing(name, d.owner.UID)
	case d.owner == nil:
		return denial.HomeMissing(name, d.account.UID)
	default:
		return denial.OwnersDiffer(name, d.account.UID, d.owner.UID)
	}
}

// identityDenial is the answer where nobody could say who a user is.
func identityDenial(name user.Name, err error) denial.Denial {
	var disagreement *Disagreement
	if errors.As(err, &disagreement) {
		return disagreement.denial()
	}
	return denial.IdentitySilent(name.String())
}
