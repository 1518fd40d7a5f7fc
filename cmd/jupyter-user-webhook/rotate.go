package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"jupyter-user.io/jupyter-user-webhook/certs"
)

type rotateOptions struct {
	kubeconfig     string
	namespace      string
	every, overlap time.Duration
	logLevel       string
	logTo          io.Writer
}

func rotateCommand() *cobra.Command {
	o := rotateOptions{}
	cmd := &cobra.Command{
		Use:   "rotate-certificates",
		Short: "Make and renew the serving certificate, if there is no cert-manager",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.logTo = cmd.ErrOrStderr()
			return o.rotate(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file; without it, as a Pod of the cluster")
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the webhook; by default the Pod's own")
	f.DurationVar(&o.every, "every", 10*time.Second, "time between two checks, and between trusting a new authority and serving "+
		"its certificate")
	f.DurationVar(&o.overlap, "overlap", 10*time.Minute, "how long the old authority stays trusted after that; longer than a "+
		"kubelet needs to give the new certificate to every replica")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (o rotateOptions) rotate(ctx context.Context) error {
	log, err := logger(o.logLevel, o.logTo)
	if err != nil {
		return err
	}
	if o.every <= 0 || o.overlap < o.every {
		return fmt.Errorf("--every %s and --overlap %s: --every must be over 0s, and --overlap at least as long", o.every, o.overlap)
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	found := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{
		Context: api.Context{Namespace: o.namespace}, Timeout: "10s",
	})
	config, err := found.ClientConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	namespace, _, err := found.Namespace()
	if err != nil {
		return fmt.Errorf("find the namespace: %w", err)
	}
	signer := &certs.SelfSigned{Namespace: namespace, Every: o.every, Overlap: o.overlap, Log: log}
	if err := signer.Connect(config); err != nil {
		return err
	}
	log.Info("rotating certificates", "version", version, "namespace", namespace, "every", o.every.String(),
		"overlap", o.overlap.String())
	signer.Run(ctx)
	return nil
}
