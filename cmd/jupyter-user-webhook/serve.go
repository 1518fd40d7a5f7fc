package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"jupyter-user.io/jupyter-user-webhook/certs"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// serveOptions are the options of "jupyter-user-webhook serve". The settings for Pods are in the configuration file.
type serveOptions struct {
	config     string
	listen     string
	httpListen string
	certDir    string
	clientCA   string
	clients    []string
	peers      []string
	sources    sourceOptions
	drain      time.Duration
	logLevel   string
	logTo      io.Writer
}

func serveCommand() *cobra.Command {
	o := serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the webhook to an API server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.logTo = cmd.ErrOrStderr()
			return o.serve(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration file; without it the default configuration")
	f.StringVar(&o.listen, "listen", ":9443", "address to serve reviews on, over TLS")
	f.StringVar(&o.httpListen, "http-listen", ":8080", "address to serve /healthz, /readyz and /metrics on, without TLS")
	f.StringVar(&o.certDir, "cert-dir", "/certs", "directory with tls.crt and tls.key; serve waits until they exist, and reads "+
		"them again when they change")
	f.StringVar(&o.clientCA, "client-ca-file", "", "file with the CAs of API servers' client certificates, read again when it "+
		"changes; with it, reviews are accepted only from API servers and the other replicas")
	f.StringSliceVar(&o.clients, "client-name", nil, "common name or DNS name that the API server's client certificate must have; "+
		"by default any name")
	f.StringSliceVar(&o.peers, "peers", nil, "host:port of the other replicas, or of all: they decide about a Pod of another "+
		"configuration, as during a rollout")
	f.DurationVar(&o.drain, "drain", 10*time.Second, "how long to serve after SIGTERM while not ready, until API servers send no "+
		"more reviews")
	o.sources.flags(f)
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (o serveOptions) serve(ctx context.Context) error {
	log, err := logger(o.logLevel, o.logTo)
	if err != nil {
		return err
	}
	limitMemory(log)
	c, err := loadConfig(o.config)
	if err != nil {
		return err
	}
	verifyClient, err := o.verifyClient()
	if err != nil {
		return err
	}
	files := certs.FromDirectory(o.certDir, log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	known, err := o.sources.open(ctx, c, registry, log)
	if err != nil {
		return err
	}
	handler, err := o.handler(c, known, files, registry, log)
	if err != nil {
		return err
	}
	reviews, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen for reviews: %w", err)
	}
	server := server.New(reviews, handler, server.Options{
		GetCertificate: files.GetCertificate, VerifyClient: verifyClient, Drain: o.drain, Log: log,
	})
	plain, err := net.Listen("tcp", o.httpListen)
	if err != nil {
		_ = reviews.Close()
		return fmt.Errorf("listen for health and metrics: %w", err)
	}
	// The configuration can be logged because it has no secret: config.Read returns an error for an environment variable or
	// a setting of Jupyter whose name sounds like a secret.
	log.Info("serving", "version", version, "reviews", reviews.Addr().String(), "http", plain.Addr().String(),
		"generation", c.Generation(), "configuration", c)
	// The metrics of this program, and the metrics of the certificate from controller-runtime's global registry.
	all := prometheus.Gatherers{registry, prometheus.GathererFunc(certificateMetrics)}
	others := append(known.watch, files.Watch, observe(plain, server.Ready, all, log))
	return runTogether(ctx, server.Run, others...)
}

// verifyClient returns the function that denies clients without an accepted certificate. Without --client-ca-file it
// returns nil, so every client may send reviews.
func (o serveOptions) verifyClient() (func(tls.ConnectionState) error, error) {
	if o.clientCA == "" {
		if len(o.clients) > 0 {
			return nil, errors.New("--client-name restricts the accepted client certificates, and needs --client-ca-file")
		}
		return nil, nil
	}
	clients, err := certs.ClientsOf(o.clientCA, o.clients)
	if err != nil {
		return nil, fmt.Errorf("--client-ca-file: %w", err)
	}
	return clients.Verify, nil
}

// handler returns the handler of reviews, and registers the metrics of the handler.
func (o serveOptions) handler(c *config.Config, known *sources, files *certs.Files, registry *prometheus.Registry,
	log *slog.Logger) (http.Handler, error) {
	if known.identities == nil && c.Identity.Discovery == config.DiscoveryAtAdmission {
		return nil, errors.New("the configuration says identity.discovery: AtAdmission, and there is no source of " +
			"identities, so every pod would be denied: give --share, --passwd or identity.ldap, or leave identity.discovery at Auto")
	}
	if err := registerInfo(registry, c, files.GetCertificate); err != nil {
		return nil, err
	}
	if c.Mode == config.ModeWarn {
		log.Warn("mode Warn: nothing is changed and nothing is denied, so a labelled Pod does not run as its user yet")
	}
	counted, err := server.NewMetrics(registry)
	if err != nil {
		return nil, err
	}
	peers, err := server.NewPeers(o.peers, files.GetCertificate)
	if err != nil {
		return nil, fmt.Errorf("--peers: %w", err)
	}
	return server.NewHandler(webhook.New(c, known.identities).WithHubNames(known.hubNames), log, counted, peers), nil
}

func logger(named string, to io.Writer) (*slog.Logger, error) {
	level, ok := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[named]
	if !ok {
		return nil, fmt.Errorf("--log-level %q is none of debug, info, warn, error", named)
	}
	handler := slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level})
	ctrllog.SetLogger(logr.FromSlogHandler(handler))
	return slog.New(handler), nil
}

func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer file.Close() //nolint:errcheck // the file is only read
	c, err := config.Read(file)
	if err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", path, err)
	}
	return c, nil
}

const (
	// maxPlainConnections is the maximum number of open connections to the port of health and metrics.
	maxPlainConnections = 1024
	// maxScrapes is the maximum number of requests for metrics at the same time; a further request gets the status 503.
	maxScrapes = 4
)

// observe returns the function that serves health and metrics until its context ends.
func observe(
	listener net.Listener, ready func(*http.Request) error, all prometheus.Gatherer, log *slog.Logger,
) func(context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	// Any client can connect to this port, and each connection needs memory. So connections are few, short, and have small
	// headers. A kubelet and a Prometheus connect again without a loss.
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       2 * time.Second,
		WriteTimeout:      10 * time.Second,
		MaxHeaderBytes:    4 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	bounded := &boundedListener{Listener: listener, limit: maxPlainConnections}
	return func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { _ = server.Close() })
		if err := server.Serve(bounded); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve health and metrics: %w", err)
		}
		return nil
	}
}

// runTogether runs mainRun and the others at the same time, until all have returned, and returns their errors. The context of
// mainRun ends when ctx ends or one of the others fails. The context of the others ends when mainRun has returned.
func runTogether(ctx context.Context, mainRun func(context.Context) error, others ...func(context.Context) error) error {
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()

	failed := make(chan error, len(others))
	for _, run := range others {
		go func() {
			err := run(background)
			failed <- err
			if err != nil {
				stop()
			}
		}()
	}
	errs := []error{mainRun(stopping)}
	end()
	for range others {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}
