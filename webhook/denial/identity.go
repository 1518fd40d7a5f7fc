package denial

import (
	"fmt"
	"strings"
)

// The denials of this file are about the identity of the user, and about groups.

// IdentityDenied denies a user with a UID or GID that no Pod can have, such as a UID below identity.minUID. why says
// which UID or GID it is.
func IdentityDenied(name string, why error) Denial {
	return forbidden("IdentityDenied", "", "the user %s cannot run a notebook: %v", name, why)
}

// TooManyGroups denies a user with more groups than a Pod can have. The message does not say how many groups the user has,
// because a requester who may not create Pods of this user can get the message too.
func TooManyGroups(name string, limit int) Denial {
	return forbidden("TooManyGroups", "", "%s is in more supplementary groups than the %d that a pod may have here, and NFS would "+
		"silently ignore the rest: ask the admin to set identity.tooManyGroups to Cut, which gives the %d with the lowest "+
		"numbers, or, where the share uses Kerberos or its server looks groups up by itself (manage-gids), a higher "+
		"identity.maxGroups", name, limit, limit)
}

// IdentityUnknown denies a user whom no source of identities knows, where discovery at start is not allowed.
func IdentityUnknown(name string) Denial {
	return forbidden("IdentityUnknown", "", "no source of identities knows the user %s: ask the admin whether %s has an account "+
		"that is not disabled, and a home (jupyter-user-webhook homes makes missing homes)", name, name)
}

// IdentitySilent denies a user whose lookup failed.
func IdentitySilent(name string) Denial {
	return unavailable("IdentitySilent", "", "the identity of %s cannot be looked up at the moment: try again, and if that does "+
		"not help ask the admin to look at the webhook's log", name)
}

// Account is the UID that one source of identities has for a user.
type Account struct {
	Source Source
	// UID is negative if the source does not know the user.
	UID int64
}

// Source is a source of identities, by the name that messages use.
type Source string

// The sources of identities.
const (
	DirectoryService Source = "the directory service"
	Passwd           Source = "passwd"
	Share            Source = "the share"
)

// IdentityDisputed denies a user for whom the sources of identities have different UIDs, or whom only some of them know.
func IdentityDisputed(name string, accounts []Account) Denial {
	known := make([]string, len(accounts))
	for i, account := range accounts {
		switch {
		case account.UID >= 0 && account.Source == Share:
			known[i] = fmt.Sprintf("the home on the share belongs to UID %d", account.UID)
		case account.Source == Share:
			known[i] = "there is no home on the share"
		case account.UID >= 0:
			known[i] = fmt.Sprintf("%s has UID %d", account.Source, account.UID)
		default:
			known[i] = fmt.Sprintf("%s has no such user", account.Source)
		}
	}
	last := len(known) - 1
	return forbidden("IdentityDisputed", "", "the sources disagree about the user %s: %s, and %s; all of them must know the user, "+
		"with the same UID, so ask the admin %s", name, strings.Join(known[:last], ", "), known[last], disputeRemedy(accounts))
}

func disputeRemedy(accounts []Account) string {
	homeless, uids := false, map[int64]bool{}
	for _, account := range accounts {
		if account.Source == Share && account.UID < 0 {
			homeless = true
			continue
		}
		uids[account.UID] = true
	}
	if homeless && len(uids) == 1 {
		return "to make the home (jupyter-user-webhook homes makes missing homes)"
	}
	return "which is right"
}

// IdentityUnusable denies a user whose account has no usable identity. why continues a sentence that begins with the user's
// name.
func IdentityUnusable(name, why string) Denial {
	return forbidden("IdentityUnusable", "", "%s %s: ask the admin of the directory service to correct the account", name, why)
}

// RestrictedNeedsIdentity denies discovery at start in a namespace that enforces the Pod Security Standard "restricted".
func RestrictedNeedsIdentity(namespace, name string) Denial {
	return forbidden("RestrictedNeedsIdentity", "", "namespace %s enforces the Pod Security Standard restricted, and a notebook "+
		"whose UID is found at start starts as root: ask the admin for a source of identities that knows the UID and GID of %s at "+
		"admission, or use a namespace that enforces baseline", namespace, name)
}

// GroupForeign denies a supplementary group or an fsGroup that is not known to be a group of the user.
func GroupForeign(field string, gid int64, name string) Denial {
	return forbidden("GroupForeign", field, "%d is not known to be a group of %s: remove it, the webhook adds the groups of "+
		"the user", gid, name)
}

// SystemGroupForeign denies a supplementary group that can be a group of the image or of a device of the node, but is not
// one of identity.imageGroups.
func SystemGroupForeign(field string, gid int64, name string) Denial {
	return forbidden("GroupForeign", field, "%d is not known to be a group of %s: remove it, or, if it is a group of the image or "+
		"of a GPU, ask the admin for identity.imageGroups", gid, name)
}

// NoGroupAtStart denies a supplementary group of a Pod whose user is found at start: the groups of the user are not known.
func NoGroupAtStart(field string, gid int64) Denial {
	return forbidden("GroupForeign", field, "a pod whose user is found at start has no supplementary groups: remove %d, or ask "+
		"the admin for a source of identities", gid)
}

// ImageGroupForeign denies a group of identity.imageGroups in a Pod that cannot have such a group. why is the reason.
func ImageGroupForeign(field string, gid int64, why string) Denial {
	return forbidden("GroupForeign", field, "%d is a group of the image (identity.imageGroups), and %s: remove it", gid, why)
}

// NoImageGroupWithShare is the reason why a Pod that sees more of the share than the home cannot have a group of the image.
const NoImageGroupWithShare = "notebooks here see more of the share than the home, where files with that GID belong to others"

// NoFurtherGroup returns the reason why a user with the maximum number of groups gets no group of the image.
func NoFurtherGroup(name string, limit int) string {
	return fmt.Sprintf("%s already has the %d groups that a pod may have, and NFS would silently ignore one more",
		name, limit)
}
