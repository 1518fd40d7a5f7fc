package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"jupyter-user.io/jupyter-user-webhook/certs"
)

// rotateOptions are those of the companion that makes the certificate where there is no cert-manager.
type rotateOptions struct {
	kubeconfig     string
	every, overlap time.Duration
	logLevel       string
	logTo          io.Writer
}

func rotateCommand() *cobra.Command {
	o := rotateOptions{}
	cmd := &cobra.Command{
		Use:   "rotate-certificates",
		Short: "Make and renew the serving certificate, where there is no cert-manager",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.logTo = cmd.ErrOrStderr()
			return o.rotate(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "how to reach the cluster; as a Pod of it without one")
	f.DurationVar(&o.every, "every", 10*time.Second, "how often to look, and how long API servers may take to learn whom to trust "+
		"before a certificate is handed out")
	f.DurationVar(&o.overlap, "overlap", 10*time.Minute, "how long the old authority stays trusted after that: longer than kubelets "+
		"take to hand a new certificate to every replica")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (o rotateOptions) rotate(ctx context.Context) error {
	log, err := logger(o.logLevel, o.logTo)
	if err != nil {
		return err
	}
	if o.every <= 0 || o.overlap < o.every {
		return fmt.Errorf("--every %s and --overlap %s: the first is over 0s, and the second at least that", o.every, o.overlap)
	}
	config, err := rest.InClusterConfig()
	if o.kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	}
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	config.Timeout = 10 * time.Second
	signer := &certs.SelfSigned{Every: o.every, Overlap: o.overlap, Log: log}
	if err := signer.Connect(config); err != nil {
		return err
	}
	log.Info("rotating certificates", "version", version, "every", o.every.String(), "overlap", o.overlap.String())
	signer.Run(ctx)
	return nil
}
