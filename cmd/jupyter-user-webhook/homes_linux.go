package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/homes"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/passwd"
)

type homesOptions struct {
	config, share, passwd, skeleton, mode string
	// claims are the mount points of the further claims (share.directories), by the name of the claim.
	claims map[string]string
	users  []string
	dryRun bool
}

func homesCommand() *cobra.Command {
	o := homesOptions{}
	cmd := &cobra.Command{
		Use:   "homes",
		Short: "Make the homes that users of the directory service do not have yet",
		Long: `Make the homes that users of the directory service do not have yet.

Users come from identity.ldap of the configuration, from the file of --passwd,
or from both, which must agree. For each user the command makes the home
(share.home) and each directory of share.directories with {user}. A directory is
made completely or not at all, and nothing that exists is changed. Of the
directories above a home, only the one for {initial} is made. Each directory
above must belong to root, and only root may write to it. Users under
identity.minUID or identity.minGID and reserved names are skipped.

The command must run as root on a node for which the server of the share does
not map root to nobody (no_root_squash). A second run on that node waits for the
first, at most five minutes.

The exit status is 0 if every user has a home or was skipped, 1 if a home could
not be made, the share could not be opened or the list of users was incomplete,
and 2 if a flag, the configuration, the skeleton or the file of users is wrong.`,
		Example: `  jupyter-user-webhook homes --config=/etc/jupyter-user/config.yaml --share=/share --dry-run
  jupyter-user-webhook homes --config=config.yaml --share=/hpc --passwd=/etc/passwd --skeleton=/etc/skel`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkNotEmpty(cmd, "config", "share", "passwd", "skeleton", "user"); err != nil {
				return err
			}
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration file")
	f.StringVar(&o.share, "share", "", "mount point of the root of the share, writable")
	f.StringToStringVar(&o.claims, "claim", nil, "mount point of the root of a further claim with directories of users, "+
		"writable, as <name>=<path>; repeatable")
	f.StringVar(&o.passwd, "passwd", "", "file as getent passwd prints it, with the users")
	f.StringVar(&o.skeleton, "skeleton", "",
		"directory with the initial content of a home, such as /etc/skel; by default a home is empty")
	f.StringVar(&o.mode, "mode", "0700", "mode of a home")
	f.StringArrayVar(&o.users, "user", nil, "make only the home of this user; repeatable")
	f.BoolVar(&o.dryRun, "dry-run", false, "report what would be made, and make nothing")
	_ = cmd.MarkFlagRequired("config")
	_ = cmd.MarkFlagRequired("share")
	return cmd
}

func (o homesOptions) run(ctx context.Context, out io.Writer) error {
	run, err := o.options(out)
	if err != nil {
		return err
	}
	say, failures := run.Say, 0
	run.Say = func(what homes.Outcome, line string) {
		if what == homes.Failed {
			failures++
		}
		say(what, line)
	}
	users := &userLists{}
	if err := users.open(ctx, o.passwd, run.Config); err != nil {
		return err
	}
	run.Identities = users.identities()
	accounts, complete := accountsNamed(o.users), true
	if len(o.users) == 0 {
		accounts, complete = users.list(ctx, run.Say)
	}
	if len(accounts) == 0 {
		complete = false
		run.Say(homes.Failed, "no user is listed: correct identity.ldap.users or the file of --passwd")
	}
	summary, err := o.make(ctx, run, accounts)
	verb := "made"
	if o.dryRun {
		verb = "would be made"
	}
	if _, err := fmt.Fprintf(out, "%d %s, %d there, %d skipped, %d failed\n", summary.Made, verb, summary.Existing, summary.Skipped,
		failures); err != nil {
		return err
	}
	if err != nil || !complete || failures > 0 {
		return errDenied
	}
	return nil
}

// make creates the missing directories on the share, and then on each further claim with directories of users.
func (o homesOptions) make(ctx context.Context, run homes.Options, accounts []homes.Account) (all homes.Summary, err error) {
	for _, claim := range append([]string{""}, slices.Sorted(maps.Keys(o.claims))...) {
		if len(homes.Patterns(run.Config, claim)) == 0 {
			continue
		}
		if run.Claim = claim; claim != "" {
			run.Share = o.claims[claim]
		}
		made, failed := homes.Run(ctx, run, accounts)
		if failed != nil {
			run.Say(homes.Failed, denial.PrintableText(failed.Error()))
		}
		err = errors.Join(err, failed)
		all.Made, all.Existing = all.Made+made.Made, all.Existing+made.Existing
		// Most accounts that are skipped on the share are also skipped on each claim. The maximum counts them once.
		all.Skipped = max(all.Skipped, made.Skipped)
	}
	return all, err
}

// checkClaims returns an error unless --claim names each further claim with directories of users, and no other claim.
func (o homesOptions) checkClaims(c *config.Config) error {
	for _, claim := range c.Share.FurtherClaims() {
		if _, named := o.claims[claim]; !named && len(homes.Patterns(c, claim)) > 0 {
			return fmt.Errorf("share.directories has directories of users on the claim %[1]s: give the path where its root is "+
				"mounted, by --claim=%[1]s=<path>", claim)
		}
	}
	for claim := range o.claims {
		if claim == "" || len(homes.Patterns(c, claim)) == 0 {
			return fmt.Errorf("--claim names %q, on which share.directories has no directory with {user}: leave it out", claim)
		}
	}
	return nil
}

// options returns the options of a run, from the flags and the files that they name.
func (o homesOptions) options(out io.Writer) (run homes.Options, err error) {
	run = homes.Options{Share: o.share, DryRun: o.dryRun, Say: func(what homes.Outcome, line string) {
		_, _ = fmt.Fprintf(out, "%s: %s\n", what, line)
	}}
	if run.Config, err = loadConfig(o.config); err != nil {
		return run, err
	}
	if err := o.checkClaims(run.Config); err != nil {
		return run, err
	}
	if run.Config.Share.HomesByField() && len(homes.Patterns(run.Config, ""))+len(o.claims) == 0 {
		return run, errors.New("homes are made where share.home says, and with share.homePrefix the directory service " +
			"decides where they are: make them with the tool that writes its home fields")
	}
	mode, err := strconv.ParseUint(o.mode, 8, 32)
	if err != nil || mode > 0o777 || mode&0o700 != 0o700 {
		return run, fmt.Errorf("--mode %q is not from 0700 to 0777 in octal, such as 0750: the user needs all rights", o.mode)
	}
	run.Mode = fs.FileMode(mode)
	if o.skeleton != "" {
		if run.Skeleton, err = homes.ReadSkeleton(o.skeleton); err != nil {
			return run, fmt.Errorf("--skeleton %s: %w", o.skeleton, err)
		}
	}
	return run, nil
}

func accountsNamed(users []string) (accounts []homes.Account) {
	for _, name := range users {
		accounts = append(accounts, homes.Account{Name: name, UID: homes.AnyUID})
	}
	return homes.Unite(accounts)
}

// userLists are the sources that list users.
type userLists struct {
	// directory is nil if no directory service is configured.
	directory *ldap.Source
	// known has the identities of the passwd file, and is nil without the file. accounts has the accounts of the file. bad
	// has messages about its unreadable lines. broken is the error that ended the reading early, if there is one.
	known    homes.Known
	accounts []homes.Account
	bad      []string
	broken   error
}

func (u *userLists) open(ctx context.Context, passwdFile string, c *config.Config) (err error) {
	if !c.Identity.LDAP.Configured() && passwdFile == "" {
		return errors.New("there is no source of identities: configure identity.ldap, or give --passwd")
	}
	if c.Identity.LDAP.Configured() {
		if u.directory, err = ldap.Open(ctx, c.Identity.LDAP, prometheus.NewRegistry(), nil); err != nil {
			return fmt.Errorf("identity.ldap: %w", err)
		}
	}
	if passwdFile == "" {
		return nil
	}
	listed, bad, err := passwd.List(passwdFile, c.User)
	if err != nil && len(listed) == 0 {
		return fmt.Errorf("--passwd: %w", err)
	}
	u.known, u.bad, u.broken = homes.Known{}, bad, err
	for _, a := range listed {
		u.known[a.Name] = identity.New(a.UID, a.GID, nil)
		u.accounts = append(u.accounts, homes.Account{Name: a.Name, UID: a.UID})
	}
	return nil
}

// identities returns the identities of all sources, which must agree on the UID. The GID is that of the directory service,
// if there is one.
func (u *userLists) identities() webhook.Identities {
	switch {
	case u.directory == nil:
		return u.known
	case u.known == nil:
		return u.directory
	}
	return webhook.Agreeing{
		{Name: denial.DirectoryService, Identities: u.directory}, {Name: denial.Passwd, Identities: u.known},
	}
}

// list returns the accounts of all sources, and whether every source was read completely.
func (u *userLists) list(ctx context.Context, say func(homes.Outcome, string)) (accounts []homes.Account, complete bool) {
	for _, line := range u.bad {
		say(homes.Warning, denial.PrintableText(line))
	}
	accounts, complete = u.accounts, u.broken == nil
	if !complete {
		say(homes.Failed, denial.PrintableText(fmt.Sprintf("--passwd: %v: homes are made for the %d accounts before it", u.broken,
			len(u.accounts))))
	}
	if u.directory == nil {
		return homes.Unite(accounts), complete
	}
	listed, err := u.directory.List(ctx)
	if err != nil {
		complete = false
		say(homes.Failed, denial.PrintableText(fmt.Sprintf("the directory service did not list all users: %v: homes are made for "+
			"the %d accounts that it listed", err, len(listed))))
	}
	for _, a := range listed {
		accounts = append(accounts, homes.Account{Name: a.Name, UID: a.UID, Fault: a.Fault})
	}
	return homes.Unite(accounts), complete
}
