package webhook

import (
	"context"
	"errors"
	"fmt"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// HubNames maps hub names to users, by a map file or the directory service. A hub name is a user's name in JupyterHub, the
// value of the annotation hub.jupyter.org/username.
type HubNames interface {
	// FromHub returns the user's name, or "" if no user has that hub name. The error is an *identity.Unusable if the
	// account is unusable; any other error means that the lookup failed.
	FromHub(ctx context.Context, hubName string) (string, error)
	// FromHubUncached does the same as FromHub, but never returns a cached result.
	FromHubUncached(ctx context.Context, hubName string) (string, error)
}

// hubNameFinder is HubNames.FromHub or HubNames.FromHubUncached.
type hubNameFinder func(HubNames, context.Context, string) (string, error)

// WithHubNames returns a copy of the webhook that maps hub names with the given HubNames.
func (w *Webhook) WithHubNames(names HubNames) *Webhook {
	with := *w
	with.hubNames = names
	return &with
}

// mapsHubNames reports whether the configuration maps hub names, by a map file or the directory service. Without a mapping,
// the hub name is used as the user's name.
func mapsHubNames(c *config.Config) bool {
	return c.User.MapFile != "" || c.Identity.LDAP.Users.HubName != ""
}

// maxHubName is the longest hub name that is looked up, in bytes: JupyterHub's database has at most 255 characters for it,
// of at most 4 bytes each. A longer hub name cannot be a user's name, so it is denied without a lookup, and not cached.
const maxHubName = 1024

// nameOf returns the user that a claimed Pod names, or denials. The error is the cause of a denial, for the log; nil if the
// denial's text already says the cause.
func (w *Webhook) nameOf(ctx context.Context, p *pod.Pod, lookup hubNameFinder) (user.Name, []denial.Denial, error) {
	labels, annotations, rules := p.Metadata.Labels, p.Metadata.Annotations, w.config.User
	hubName, fromHub := annotations[user.HubAnnotation]
	if !fromHub || !mapsHubNames(w.config) || len(hubName) > maxHubName {
		name, denials := user.FromPod(labels, annotations, rules)
		return name, denials, nil
	}
	mapped, denied, err := w.mapHubName(ctx, hubName, lookup)
	if denied != nil {
		return user.Name{}, []denial.Denial{*denied}, err
	}
	if mapped != "" {
		// The mapped name is the Unix name, so it must not have a domain.
		rules.Domains = nil
	} else {
		mapped = hubName
	}
	name, denials := user.FromPod(labels, map[string]string{user.HubAnnotation: mapped}, rules)
	return name, denials, nil
}

// mapHubName returns the user's name for a hub name. It returns "" if no user has the hub name and user.unmapped allows
// the hub name itself as the user's name. If there is no usable name, it returns a denial. The error is the cause of the
// denial, for the log; nil if the denial's text already says the cause.
func (w *Webhook) mapHubName(ctx context.Context, hubName string, lookup hubNameFinder) (string, *denial.Denial, error) {
	if w.hubNames == nil {
		notRead := errors.New("the configuration maps hub names, but this process has not read the map")
		return "", new(denial.HubNameSilent(user.HubAnnotation, hubName)), notRead
	}
	name, err := lookup(w.hubNames, ctx, hubName)
	unusable, isUnusable := errors.AsType[*identity.Unusable](err)
	switch {
	case isUnusable:
		return "", new(denial.HubNameUnusable(user.HubAnnotation, hubName, unusable.Why)), nil
	case err != nil:
		return "", new(denial.HubNameSilent(user.HubAnnotation, hubName)), fmt.Errorf("find the user of a hub name: %w", err)
	case name == "" && w.config.User.Unmapped == config.UnmappedDeny:
		return "", new(denial.HubNameUnmapped(user.HubAnnotation, hubName)), nil
	}
	return name, nil, nil
}

// confirmName returns the user of a Pod that Verify reviews. If the hub name does not map to the user in the annotation
// jupyter-user.io/user, confirmName looks the hub name up again, without the cache. If it still does not map to this user,
// usually the mapping has changed, or the replica that injected the Pod has an older or newer mapping. Then another attempt
// can succeed, so the denial says "try again".
func (w *Webhook) confirmName(ctx context.Context, p *pod.Pod) (user.Name, []denial.Denial, error) {
	name, denials, err := w.nameOf(ctx, p, HubNames.FromHub)
	injected, isInjected := p.Metadata.Annotations[inject.UserAnnotation]
	_, fromHub := p.Metadata.Annotations[user.HubAnnotation]
	if !isInjected || !fromHub || !mapsHubNames(w.config) || len(denials) == 0 && name.String() == injected {
		return name, denials, err
	}
	name, denials, err = w.nameOf(ctx, p, HubNames.FromHubUncached)
	if err != nil || len(denials) == 0 && name.String() == injected {
		return name, denials, err
	}
	return user.Name{}, []denial.Denial{denial.HubNameDiffers(inject.UserAnnotation)}, nil
}
