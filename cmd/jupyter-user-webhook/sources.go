package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/share"
	"jupyter-user.io/jupyter-user-webhook/webhook/user/hubnames"
)

// sourceOptions are the flags for the share and for files as sources of identities at admission.
type sourceOptions struct {
	share                 string
	wait                  time.Duration
	fresh, missing, stale time.Duration
	passwd, group         string
}

// maxWait is the maximum of --homes-wait. A whole review must take less than a second, so time must be left for other work.
const maxWait = 600 * time.Millisecond

func (o *sourceOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.share, "share", "", "mount point of the root of the share in this pod: the owner of the home (share.home) is "+
		"the identity at admission; without it, --passwd and identity.ldap every Pod finds the owner at start")
	f.DurationVar(&o.wait, "homes-wait", 500*time.Millisecond, "how long a review waits for the share, at most "+maxWait.String())
	f.DurationVar(&o.fresh, "homes-fresh", 30*time.Second, "how long the owner of a home is cached")
	f.DurationVar(&o.missing, "homes-fresh-missing", 2*time.Second, "how long a missing home is cached")
	f.DurationVar(&o.stale, "homes-stale", 10*time.Minute, "how long the last known owner is used while the share does not "+
		"respond")
	f.StringVar(&o.passwd, "passwd", "", "file as getent passwd prints it, read again when it changes: it has the identity at "+
		"admission; with --share the two must agree")
	f.StringVar(&o.group, "group", "", "file as getent group prints it, for the supplementary groups")
}

// sources are the opened sources: those that find the identities of users, and one that finds the user for a hub's user
// name.
type sources struct {
	// identities is nil if no source of identities is configured.
	identities webhook.Identities
	// hubNames is nil if no source maps the user names of a hub.
	hubNames webhook.HubNames
	// watch has the functions that must run beside the server.
	watch []func(context.Context) error
}

// open opens every configured source: identity.ldap, --passwd with --group, --share and user.mapFile. The sources of
// identities must agree on the UID. The GID and groups are those of the first configured source, in the order LDAP, passwd,
// share (webhook.Agreeing).
func (o sourceOptions) open(ctx context.Context, c *config.Config, registry prometheus.Registerer, log *slog.Logger,
) (*sources, error) {
	if o.group != "" && o.passwd == "" {
		return nil, errors.New("--group has the members of groups, and needs --passwd, which has their UIDs")
	}
	if o.share != "" && c.Share.HomesByField() {
		return nil, errors.New("--share finds the owner of the home where share.home says, and with share.homePrefix the " +
			"directory service decides where homes are: leave one of them out")
	}
	if c.Share.HomesByField() && o.passwd == "" && !c.Identity.LDAP.Configured() {
		return nil, errors.New("with share.homePrefix the home field of a directory service decides where homes are: configure " +
			"identity.ldap, or give --passwd")
	}
	opened := &sources{}
	var all webhook.Agreeing
	if c.Identity.LDAP.Configured() {
		directory, err := ldap.Open(ctx, c.DirectoryService(), registry, log)
		if err != nil {
			return nil, fmt.Errorf("identity.ldap: %w", err)
		}
		all = append(all, webhook.Source{Name: denial.DirectoryService, Identities: directory})
		if c.Identity.LDAP.Users.HubName != "" {
			opened.hubNames = directory
		}
	}
	if o.passwd != "" {
		accounts, err := passwd.Open(passwd.Options{
			Passwd: o.passwd, Group: o.group, Rules: c.User, Homes: c.Share.HomesByField() && len(all) == 0,
			MinUID: c.Identity.MinUID,
			Log:    log, Registry: registry,
		})
		if err != nil {
			return nil, fmt.Errorf("--passwd: %w", err)
		}
		opened.watch = append(opened.watch, accounts.Watch)
		all = append(all, webhook.Source{Name: denial.Passwd, Identities: accounts})
	}
	if o.share != "" {
		owners, err := o.openShare(ctx, c, registry)
		if err != nil {
			return nil, err
		}
		all = append(all, webhook.Source{Name: denial.Share, Identities: owners})
	}
	if c.User.MapFile != "" {
		names, err := hubnames.Open(c.User.MapFile, c.User, registry, log)
		if err != nil {
			return nil, fmt.Errorf("user.mapFile: %w", err)
		}
		opened.watch, opened.hubNames = append(opened.watch, names.Watch), names
	}
	switch len(all) {
	case 0:
	case 1:
		opened.identities = all[0].Identities
	default:
		opened.identities = all
	}
	return opened, nil
}

func (o sourceOptions) openShare(ctx context.Context, c *config.Config, registry prometheus.Registerer) (
	webhook.Identities, error) {
	if o.wait <= 0 || o.wait > maxWait {
		return nil, fmt.Errorf("--homes-wait %s is not from 1ms to %s", o.wait, maxWait)
	}
	owners, err := share.New(ctx, share.Options{
		Share: o.share, Home: c.Share.Home, MinUID: c.Identity.MinUID,
		Wait: o.wait, Fresh: o.fresh, FreshMissing: o.missing, Stale: o.stale, Registry: registry,
	})
	if err != nil {
		return nil, fmt.Errorf("--share: %w", err)
	}
	return owners, nil
}
