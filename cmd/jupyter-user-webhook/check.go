package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
)

// live are the options of commands that look at a cluster.
type live struct {
	kubeconfig string
	context    string
	timeout    time.Duration
	output     string
}

func (l *live) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.kubeconfig, "kubeconfig", "", "kubeconfig file; without it, as kubectl finds one")
	f.StringVar(&l.context, "context", "", "context of the kubeconfig")
	f.DurationVar(&l.timeout, "timeout", 30*time.Second, "how long it may take altogether")
	f.StringVarP(&l.output, "output", "o", "table", "table or json")
}

// connect gives the cluster for as long as the command may take.
func (l *live) connect(ctx context.Context) (context.Context, context.CancelFunc, *check.Cluster, error) {
	// What it has to say is about its caches, and there are none here.
	ctrllog.SetLogger(logr.Discard())
	cluster, err := check.Connect(l.kubeconfig, l.context)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.timeout, fmt.Errorf("it took longer than %s (--timeout)", l.timeout))
	return ctx, cancel, cluster, nil
}

func checkCommand() *cobra.Command {
	l, o, file := live{}, check.Options{Version: version}, ""
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look at a cluster and say whether the promise holds there",
		Long: `Look at a cluster and say whether the promise holds there.

It writes nothing: the one Pod that it creates is a dry run, and so is each
update by which it asks what the API server would make of a policy that is not
as it was rendered. What it has no right to see it says it could not tell.

What is to be installed comes from Helm's record of the release, a Secret, or
from the manifest that -f names.

The exit status is 0 where nothing failed (there may be warnings), 1 where
something failed, and 2 where nothing failed but something could not be told,
or where there is no cluster to look at.`,
		Example: `  jupyter-user-webhook check
  jupyter-user-webhook check -n lab -n jhub -o json
  helm get manifest jupyter-user-webhook -n jupyter-user-system | jupyter-user-webhook check -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filled(cmd, "user", "namespace", "only", "filename"); err != nil {
				return err
			}
			if cmd.Flags().Changed("filename") {
				text, err := injectOptions{file: file}.read(cmd.InOrStdin())
				if err != nil {
					return err
				}
				if o.Manifest, err = check.ReadManifest(bytes.NewReader(text)); err != nil {
					return err
				}
			}
			return l.check(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	l.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.Namespaces, "namespace", "n", nil, "a namespace with notebooks, besides those that have the share; "+
		"repeatable")
	f.StringSliceVar(&o.Only, "only", nil, "the checks to do, such as answers; all without it")
	f.StringVarP(&file, "filename", "f", "", "manifest of what is to be installed, - for standard input; without it, Helm's record")
	f.StringVar(&o.User, "user", "jupyter-user-check", "whose notebook to try, in a dry run")
	cmd.AddCommand(accessCommand(), ldapCommand())
	return cmd
}

// filled denies flags that are given and empty, as an unset variable of a script leaves them: ignoring such a flag would
// change what is asked.
func filled(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		flag := cmd.Flags().Lookup(name)
		values := []string{flag.Value.String()}
		if list, is := flag.Value.(pflag.SliceValue); is {
			values = list.GetSlice()
		}
		if flag.Changed && slices.Contains(values, "") {
			return fmt.Errorf("--%s is given and empty: say whom or what it is about, or leave it out", name)
		}
	}
	return nil
}

func (l *live) check(ctx context.Context, out io.Writer, o check.Options) error {
	write, is := check.Writers[l.output]
	if !is {
		return fmt.Errorf("-o %q is none of table, json", l.output)
	}
	ctx, cancel, cluster, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	findings, err := check.Run(ctx, cluster, o)
	if err != nil {
		return err
	}
	if err := write(out, findings); err != nil {
		return err
	}
	return check.Judge(findings)
}

func accessCommand() *cobra.Command {
	l, q := live{}, check.AccessQuery{}
	cmd := &cobra.Command{
		Use:   "access --user alice [--as carol]",
		Short: "Say who may be whom, and through which binding",
		Long: `Say who may be whom, and through which binding.

The API server itself is asked, as the policies ask it. Without --as, everybody
is listed who may by RBAC.

The exit status is 0 for may, 1 for may not, and 2 where it could not be told.`,
		Example: `  jupyter-user-webhook check access --as carol --as-group staff --user alice -n lab
  jupyter-user-webhook check access --as system:serviceaccount:jhub:hub --user alice -n jhub
  jupyter-user-webhook check access --user alice -n lab`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filled(cmd, "as", "as-group", "user", "namespace"); err != nil {
				return err
			}
			return l.access(cmd.Context(), cmd.OutOrStdout(), q)
		},
	}
	l.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&q.As, "as", "", "name of the requester, as the API server knows it; without it, all who may")
	f.StringArrayVar(&q.Groups, "as-group", nil, "a group of the requester; repeatable")
	f.StringVar(&q.User, "user", "", "the user whose home it is")
	f.StringVarP(&q.Namespace, "namespace", "n", "", "namespace of the Pod (default: as kubectl)")
	_ = cmd.MarkFlagRequired("user")
	return cmd
}

func (l *live) access(ctx context.Context, out io.Writer, q check.AccessQuery) error {
	write, is := check.AccessWriters[l.output]
	switch {
	case !is:
		return fmt.Errorf("-o %q is none of table, json", l.output)
	case q.As == "" && len(q.Groups) > 0:
		return errors.New("--as-group needs --as too")
	}
	ctx, cancel, cluster, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if q.Namespace == "" {
		q.Namespace = cluster.Namespace
	}
	report, err := check.Access(ctx, cluster, q)
	if err != nil {
		return err
	}
	if err := write(out, report); err != nil {
		return err
	}
	if !report.May {
		return errDenied
	}
	return nil
}
