// Package homes makes the missing homes of users, and their missing directories of share.directories.
//
// One run:
//
//  1. opens the root of the share, and waits for another run of the same node, at most five minutes;
//  2. removes the unfinished directories that killed runs have left behind;
//  3. checks, for each account, the directories that the user must have (Patterns);
//  4. asks the sources of identities for the owner of a missing directory, as the webhook does, but without cache;
//  5. makes the directory under a temporary name, closed to all but root, gives it to the user, and then renames it.
//
// Users write on a share, so the directories above homes are not trusted. The run opens each of them without following a
// symbolic link, and each must belong to root and be writable only by root.
package homes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Options configures Run.
type Options struct {
	// Share is the mount point of the root of the share, or of the root of a further claim (share.directories).
	Share string
	// Claim is the name of the further claim; empty for the share.
	Claim  string
	Config *config.Config
	// Identities finds the identities of users who lack a directory.
	Identities webhook.Identities
	// Skeleton is the initial content of a home; nil for an empty home.
	Skeleton *Skeleton
	// Mode is the mode of the directories that are made for users.
	Mode fs.FileMode
	// With DryRun, the run reports what it would do, and changes nothing.
	DryRun bool
	// Say writes one line of output.
	Say func(Outcome, string)
}

// Outcome is the kind of a line of output.
type Outcome string

// The outcomes. The Summary counts the lines with Made, WouldBe, Skipped and Failed. The other lines only inform.
const (
	Made     Outcome = "made"
	WouldBe  Outcome = "would make"
	Skipped  Outcome = "skipped"
	Removed  Outcome = "removed"
	Warning  Outcome = "warning"
	Failed   Outcome = "failed"
	Progress Outcome = "progress"
)

// Summary counts the directories that were made (or would be made), the directories that existed already, the skipped
// accounts, and the failures.
type Summary struct{ Made, Existing, Skipped, Failed int }

// progressEvery is the number of accounts between two progress messages of a run.
const progressEvery = 1000

// Run makes the missing directories of the accounts. It returns an error if the run ended early; failures of single
// accounts are in the summary.
func Run(ctx context.Context, o Options, accounts []Account) (Summary, error) {
	share, err := openShare(ctx, o)
	if err != nil {
		return Summary{}, err
	}
	defer share.close()
	r := &run{Options: o, share: share, parents: map[string]*parent{}, wouldMake: map[string]bool{}}
	defer r.closeParents()
	if err := r.removeLeftovers(); err != nil {
		return r.Summary, err
	}
	for i, account := range accounts {
		if err := ctx.Err(); err != nil {
			return r.Summary, fmt.Errorf("ended after %d of %d accounts: %w", i, len(accounts), context.Cause(ctx))
		}
		if err := r.account(ctx, account); err != nil {
			return r.Summary, err
		}
		if (i+1)%progressEvery == 0 {
			o.Say(Progress, fmt.Sprintf("%d of %d accounts", i+1, len(accounts)))
		}
	}
	return r.Summary, nil
}

type run struct {
	Options
	Summary
	share *share
	// silent counts the lookups in a row to which the sources of identities did not respond.
	silent int
	// parents has the open directories above the directories of users, by their path.
	parents map[string]*parent
	// wouldMake has the directories for {initial} that the dry run has already reported.
	wouldMake map[string]bool
}

func (r *run) say(o Outcome, format string, args ...any) {
	switch o {
	case Made, WouldBe:
		r.Made++
	case Skipped:
		r.Skipped++
	case Failed:
		r.Failed++
	}
	r.Say(o, denial.PrintableText(fmt.Sprintf(format, args...)))
}

// account makes the missing directories of one user. It reports a failure as an outcome, and returns an error only if the
// run must end.
func (r *run) account(ctx context.Context, a Account) error {
	name, why := r.name(a)
	if why != "" {
		r.say(Skipped, "%s", why)
		return nil
	}
	var missing []config.HomePattern
	for _, pattern := range Patterns(r.Config, r.Claim) {
		there, err := r.exists(pattern, name.String(), a.UID)
		switch {
		case isFinal(err):
			return err
		case err != nil:
			r.say(Failed, "%s: %v", r.displayName(pattern, name.String()), err)
		case there:
			r.Existing++
		default:
			missing = append(missing, pattern)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	id, err := r.identity(ctx, name)
	if err != nil || id == nil {
		return err
	}
	for _, pattern := range missing {
		if err := r.directory(pattern, name.String(), *id); err != nil {
			return err
		}
	}
	return nil
}

// name returns the user's name, or the reason why the account is no user.
func (r *run) name(a Account) (name user.Name, why string) {
	if a.Fault != "" {
		return user.Name{}, a.Name + " " + a.Fault
	}
	name, invalid := user.Parse("", a.Name, r.Config.User)
	if invalid != nil {
		return user.Name{}, invalid.Message
	}
	return name, ""
}

// maxSilent is the number of lookups in a row without a response after which the run ends. Without a limit, the run would
// wait for the timeout of the source at each user.
const maxSilent = 10

// identity returns the UID and GID of a user. It returns nil, after reporting the reason as an outcome, if the user gets no
// home. It returns an error if the sources no longer respond.
func (r *run) identity(ctx context.Context, name user.Name) (*identity.Identity, error) {
	id, err := r.Identities.FindUncached(ctx, name)
	if err != nil && !webhook.IsFinal(err) {
		r.say(Failed, "%s: %v", name, err)
		if r.silent++; r.silent == maxSilent {
			return nil, fmt.Errorf("the sources of identities did not respond about %d users in a row, the last of whom is %s: %w",
				maxSilent, name, err)
		}
		return nil, nil
	}
	r.silent = 0
	disputed, isDisputed := errors.AsType[*webhook.Disagreement](err)
	switch {
	case isDisputed:
		r.say(Skipped, "%v", disputed)
		return nil, nil
	case err != nil:
		r.say(Skipped, "%s %v", name, err)
		return nil, nil
	case id == nil:
		r.say(Skipped, "no source of identities knows the user %s", name)
		return nil, nil
	}
	// The supplementary groups are not checked, because they do not own the home.
	owner := identity.New(id.UID, id.GID, nil)
	if err := r.Config.Identity.Floor().Check(owner); err != nil {
		r.say(Skipped, "%s: %v", name, err)
		return nil, nil
	}
	return &owner, nil
}
