package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/check"
)

// clusterOptions has the options of the commands that read a live cluster.
type clusterOptions struct {
	kubeconfig string
	context    string
	timeout    time.Duration
	output     string
}

func (l *clusterOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.kubeconfig, "kubeconfig", "", "kubeconfig file; by default the one that kubectl uses")
	f.StringVar(&l.context, "context", "", "context of the kubeconfig")
	f.DurationVar(&l.timeout, "timeout", 30*time.Second, "time limit for the whole command")
	f.StringVarP(&l.output, "output", "o", "table", "table or json")
}

// connect returns the cluster, and a context that ends after the time of the flag --timeout.
func (l *clusterOptions) connect(ctx context.Context) (context.Context, context.CancelFunc, *check.Cluster, error) {
	// Without a logger, controller-runtime could print a warning that none is set.
	ctrllog.SetLogger(logr.Discard())
	cluster, err := check.Connect(l.kubeconfig, l.context)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.timeout, fmt.Errorf("it took longer than %s (--timeout)", l.timeout))
	return ctx, cancel, cluster, nil
}

func checkCommand() *cobra.Command {
	l, o, file, addresses := clusterOptions{}, check.Options{Version: version}, "", []net.IP{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check whether an installation keeps its promise",
		Long: `Check whether an installation keeps its promise.

The command changes nothing. It creates one Pod in a dry run. If a policy, a
binding or a webhook configuration differs from the rendered one, it also sends
the rendered one to the API server, in a dry run.
A check without the right to read its input is reported as unknown.

What should be installed is read from Helm's record of the release, which is a
Secret, or from the manifest that -f names.

The exit status is 0 if nothing failed (there may be warnings), 1 if something
failed, and 2 if nothing failed but something is unknown, or if the command
cannot reach a cluster.`,
		Example: `  jupyter-user-webhook check
  jupyter-user-webhook check -n lab -n jhub -o json
  helm get manifest jupyter-user-webhook -n jupyter-user-system | jupyter-user-webhook check -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkNotEmpty(cmd, "user", "namespace", "only", "filename", "share-address"); err != nil {
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
			for _, address := range addresses {
				o.ShareAddresses = append(o.ShareAddresses, address.String())
			}
			return l.check(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	l.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.Namespaces, "namespace", "n", nil, "a further namespace with notebooks, besides those with the share; "+
		"repeatable")
	f.StringSliceVar(&o.Only, "only", nil, "names of the checks to run; by default all")
	f.StringVarP(&file, "filename", "f", "", "manifest that should be installed, - for standard input; by default Helm's record")
	f.IPSliceVar(&addresses, "share-address", nil, "further IP addresses of the share's NFS server, which NetworkPolicies must "+
		"keep Pods from")
	f.StringVar(&o.User, "user", "jupyter-user-check", "user of the notebook that the dry run creates")
	cmd.AddCommand(accessCommand(), ldapCommand())
	return cmd
}

// checkNotEmpty returns an error if one of the flags is given with an empty value, as by an unset variable in a script.
// Without the error, the command would do something else than the author of the script wants.
func checkNotEmpty(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		flag := cmd.Flags().Lookup(name)
		values := []string{flag.Value.String()}
		if list, is := flag.Value.(pflag.SliceValue); is {
			values = list.GetSlice()
		}
		// A list that is given as an empty text has no elements.
		if flag.Changed && (len(values) == 0 || slices.Contains(values, "")) {
			return fmt.Errorf("--%s has an empty value: give one, or leave the flag out", name)
		}
	}
	return nil
}

func (l *clusterOptions) check(ctx context.Context, out io.Writer, o check.Options) error {
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
	l, q := clusterOptions{}, check.AccessQuery{}
	cmd := &cobra.Command{
		Use:   "access --user alice [--as carol]",
		Short: "List which requesters may be a user, and through which binding",
		Long: `List which requesters may be a user, and through which binding.

The command asks the API server, as the policies do. Without --as it lists all
subjects with access by RBAC.

The exit status is 0 if there is access, 1 if there is none, and 2 if the
result is unknown.`,
		Example: `  jupyter-user-webhook check access --as carol --as-group staff --user alice -n lab
  jupyter-user-webhook check access --as system:serviceaccount:jhub:hub --user alice -n jhub
  jupyter-user-webhook check access --user alice -n lab`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkNotEmpty(cmd, "as", "as-group", "user", "namespace"); err != nil {
				return err
			}
			return l.access(cmd.Context(), cmd.OutOrStdout(), q)
		},
	}
	l.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&q.Requester, "as", "", "name of the requester in the API server; by default all with access are listed")
	f.StringArrayVar(&q.Groups, "as-group", nil, "a group of the requester; repeatable")
	f.StringVar(&q.User, "user", "", "the user, who owns the home")
	f.StringVarP(&q.Namespace, "namespace", "n", "", "namespace of the Pod (default: the one that kubectl uses)")
	_ = cmd.MarkFlagRequired("user")
	return cmd
}

func (l *clusterOptions) access(ctx context.Context, out io.Writer, q check.AccessQuery) error {
	write, is := check.AccessWriters[l.output]
	switch {
	case !is:
		return fmt.Errorf("-o %q is none of table, json", l.output)
	case q.Requester == "" && len(q.Groups) > 0:
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
