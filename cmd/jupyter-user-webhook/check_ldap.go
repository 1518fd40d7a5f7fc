package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

type ldapOptions struct{ config, user, output string }

func ldapCommand() *cobra.Command {
	o := ldapOptions{}
	cmd := &cobra.Command{
		Use:   "ldap --config config.yaml [--user alice]",
		Short: "Ask the directory service as the webhook does, and report what is wrong",
		Long: `Ask the directory service as the webhook does, and report what is wrong.

The command asks every server of identity.ldap. Run it in the webhook's own Pod:
only there it has the webhook's network, password and authorities.

The exit status is 0 if nothing failed, and 1 if something failed.`,
		Example: `  kubectl -n jupyter-user-system exec deploy/jupyter-user-webhook -- \
    /jupyter-user-webhook check ldap --config=/etc/jupyter-user/config.yaml --user=alice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkNotEmpty(cmd, "config", "user"); err != nil {
				return err
			}
			return o.check(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration file")
	f.StringVar(&o.user, "user", "", "name of the user to look up")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	_ = cmd.MarkFlagRequired("config")
	return cmd
}

func (o ldapOptions) check(out io.Writer) error {
	write, is := check.Writers[o.output]
	if !is {
		return fmt.Errorf("-o %q is none of table, json", o.output)
	}
	c, err := loadConfig(o.config)
	if err != nil {
		return err
	}
	if !c.Identity.LDAP.Configured() {
		return fmt.Errorf("the configuration %s names no directory service: identity.ldap.urls is empty", o.config)
	}
	var name user.Name
	if o.user != "" {
		parsed, invalid := user.Parse("--user", o.user, c.User)
		if invalid != nil {
			return errors.New(invalid.Message)
		}
		name = parsed
	}
	remarks, err := ldap.Diagnose(c, name)
	if err != nil {
		return fmt.Errorf("identity.ldap: %w", err)
	}
	var findings []check.Finding
	for _, r := range remarks {
		findings = append(findings, check.Finding{
			Check: "ldap", Status: check.Status(r.Kind), Where: check.Plain(r.Server), Message: check.Plain(r.Message),
		})
		if r.Identity != nil {
			findings = append(findings, limits(c.Identity, name, r)...)
		}
	}
	if err := write(out, findings); err != nil {
		return err
	}
	return check.Judge(findings)
}

// limits returns findings about the identity in a remark: Failed if the webhook denies a user with this identity, Warning if a
// Pod does not get all groups of the identity.
func limits(c config.Identity, name user.Name, r ldap.Remark) (found []check.Finding) {
	finding := func(status check.Status, message string) {
		found = append(found, check.Finding{
			Check: "ldap", Status: status, Where: check.Plain(r.Server), Message: check.Plain(message),
		})
	}
	limited := inject.Limit(c, name, *r.Identity)
	for _, denied := range limited.Denials {
		finding(check.Failed, denied.String())
	}
	for _, warning := range limited.Warnings {
		finding(check.Warning, warning)
	}
	return found
}
