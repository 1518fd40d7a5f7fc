// Package controlplane runs a real Kubernetes control plane, etcd and kube-apiserver, for tests and for the demo.
//
// The package uses controller-runtime's envtest, with these differences:
//
//   - The admission plugin ServiceAccount is on, so that Pods get a token volume as in a real cluster. The plugin needs the
//     ServiceAccount default. There is no controller manager to create it, so Namespace creates it.
//   - All processes end and all files are removed when the process that started them ends, also if it is killed (see
//     guard.go).
//   - When Start returns, webhooks and policies are in effect, and not only stored.
//   - The API server calls webhooks over HTTP/1.1, as it does with a Service, and not over HTTP/2 (see webhooks.go).
//   - Only loopback is needed. A machine without a default route is enough.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

const (
	// startTimeout is the time that etcd and kube-apiserver may each take to start. They take seconds, but longer on a
	// machine with two cores that compiles tests at the same time.
	startTimeout = machine.Patience
	// stopTimeout is the time that etcd and kube-apiserver may each take to stop before they are killed. A kill loses no
	// data that is needed.
	stopTimeout = 20 * time.Second
	// pollInterval is the time between two checks of a condition.
	pollInterval = 20 * time.Millisecond
	// conditionTimeout is the time that a condition may take to become true. This time is long enough for a slow machine,
	// and shorter than the time limit of a test.
	conditionTimeout = machine.Patience
)

// Options are the settings of a control plane. With the zero value, Start installs no webhooks and no policies.
type Options struct {
	// Webhooks are files, or folders of files. Start installs the MutatingWebhookConfigurations and
	// ValidatingWebhookConfigurations in them and ignores other objects. The API server calls these webhooks at the address
	// ControlPlane.Webhook, and not at the Service that the files name.
	Webhooks []string
	// WebhookTimeout replaces the timeout of each webhook, in seconds, at most 30. If it is 0, the webhooks keep their
	// own timeouts. A test that does not test timeouts sets WebhookTimeout, because a slow machine can take longer than
	// the two seconds of the shipped webhooks.
	WebhookTimeout int32
	// Policies are manifests, as YAML and not as paths, that Start applies in the order of the slice. They have
	// ValidatingAdmissionPolicies, their bindings, and other objects that these need, such as a namespace.
	Policies []string
	// AdmissionPlugins are enabled in addition to kube-apiserver's default plugins, for example AlwaysPullImages.
	AdmissionPlugins []string
	// Flags are flags of kube-apiserver, by their names without the leading dashes. A flag replaces the flag of the same
	// name that Start would set.
	Flags map[string][]string
	// Progress gets lines while programs are downloaded or built. It may be nil.
	Progress io.Writer
}

// A ControlPlane is a running etcd and kube-apiserver.
type ControlPlane struct {
	// Admin is a user with all rights.
	Admin *User
	// Webhook is the address at which the API server calls the webhooks.
	Webhook WebhookAddress

	folder  *folder
	guard   *guard
	plane   envtest.ControlPlane
	kubectl string
	client  kubernetes.Interface
	users   sync.Mutex
	stop    func() error
}

// Start starts a control plane. If this machine does not have the programs, Start downloads or builds them first.
// Cancelling ctx ends the start. It does not stop a control plane that has started: the caller must call Stop.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	silenceEnvtest()
	paths, err := tools.ControlPlane(ctx, options.Progress)
	if err != nil {
		return nil, err
	}
	if err := sweep(); err != nil {
		return nil, err
	}
	folder, err := newFolder()
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{folder: folder, kubectl: paths[tools.Kubectl]}
	c.stop = sync.OnceValue(c.stopAll)
	// envtest takes no context. But its start fails when one of its processes has ended. So folder.failStart kills the
	// processes when ctx is cancelled.
	finished := make(chan struct{})
	detach := context.AfterFunc(ctx, func() { folder.failStart(finished) })
	err = c.start(ctx, paths, options)
	close(finished)
	if !detach() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the control plane: %w", err), c.Stop())
	}
	return c, nil
}

// silenceEnvtest discards envtest's log. Without this function, controller-runtime prints a stack trace because no
// logger is set. Nothing is lost: the logs of etcd and kube-apiserver have more details, and errors are returned.
var silenceEnvtest = sync.OnceFunc(func() { log.SetLogger(logr.Discard()) })

func (c *ControlPlane) start(ctx context.Context, paths tools.Paths, options Options) error {
	var err error
	if c.guard, err = startGuard(c.folder.path); err != nil {
		return err
	}
	if err := c.configure(paths, options); err != nil {
		return err
	}
	if err := c.plane.Start(); err != nil {
		return fmt.Errorf("%w\n%s", err, c.folder.logTails())
	}
	if c.Admin, err = c.User("admin", "system:masters"); err != nil {
		return err
	}
	if c.client, err = kubernetes.NewForConfig(c.Admin.Config); err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	if err := c.awaitReady(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, c.folder.logTails())
	}
	// In a real cluster, the controller manager creates the ServiceAccount default in the namespace default too.
	if err := c.createServiceAccount(ctx, "default"); err != nil {
		return err
	}
	if err := c.installPolicies(ctx, options.Policies); err != nil {
		return err
	}
	return c.installWebhooks(ctx, options.Webhooks, options.WebhookTimeout)
}

// configure sets the programs, folders, logs and flags of etcd and kube-apiserver.
func (c *ControlPlane) configure(paths tools.Paths, options Options) error {
	etcd := &envtest.Etcd{DataDir: c.folder.join("etcd"), StartTimeout: startTimeout, StopTimeout: stopTimeout}
	server := &envtest.APIServer{CertDir: c.folder.join("kube-apiserver"), StartTimeout: startTimeout,
		StopTimeout: stopTimeout}
	c.plane = envtest.ControlPlane{Etcd: etcd, APIServer: server, KubectlPath: c.kubectl}
	for _, program := range []struct {
		tool     tools.Tool
		data     string
		path     *string
		out, err *io.Writer
	}{
		{tools.Etcd, etcd.DataDir, &etcd.Path, &etcd.Out, &etcd.Err},
		{tools.KubeAPIServer, server.CertDir, &server.Path, &server.Out, &server.Err},
	} {
		if err := os.Mkdir(program.data, 0o700); err != nil {
			return fmt.Errorf("create a folder for %s: %w", program.tool, err)
		}
		log, err := c.folder.createLog(string(program.tool))
		if err != nil {
			return err
		}
		*program.out, *program.err = log, log
		if *program.path, err = c.folder.wrap(string(program.tool), paths[program.tool]); err != nil {
			return err
		}
	}
	etcd.Configure().Set("unsafe-no-fsync", "true") // The data is not needed after a crash.
	flags := server.Configure().
		Disable("disable-admission-plugins"). // With this flag, envtest turns the plugin ServiceAccount off.
		// Without an address, the API server looks for a network interface with a default route, and ends if there is
		// none. Loopback is no valid endpoint of the Service kubernetes, so this Service gets no endpoints. No test uses
		// this Service.
		Set("advertise-address", "127.0.0.1").
		Set("endpoint-reconciler-type", "none")
	if len(options.AdmissionPlugins) > 0 {
		flags.Append("enable-admission-plugins", options.AdmissionPlugins...)
	}
	for name, values := range options.Flags {
		flags.Set(name, values...)
	}
	return nil
}

// awaitReady waits until /readyz of the API server succeeds. envtest waits for /healthz only, which succeeds before the API
// server's caches are filled.
func (c *ControlPlane) awaitReady(ctx context.Context) error {
	err := await(ctx, func(ctx context.Context) (bool, error) {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the API server to be ready: %w", err)
	}
	return nil
}

// Folder returns the folder with all files of the control plane. Among them are etcd.log, kube-apiserver.log, and the
// kubeconfig files of its users in users/. Stop removes the folder.
func (c *ControlPlane) Folder() string { return c.folder.path }

// ServiceAccountKey returns the path of the key that signs ServiceAccount tokens. A controller manager needs this key.
func (c *ControlPlane) ServiceAccountKey() string {
	return c.folder.join("kube-apiserver/sa-signer.key")
}

// Stop stops all processes and removes all files. It may be called more than once.
func (c *ControlPlane) Stop() error { return c.stop() }

func (c *ControlPlane) stopAll() error {
	var errs []error
	if err := c.plane.Stop(); err != nil {
		errs = append(errs, fmt.Errorf("stop the control plane: %w", err))
	}
	// Some processes can still run: those that envtest could not stop, or did not record because the start failed.
	c.folder.kill()
	errs = append(errs, c.folder.remove())
	if c.guard != nil {
		errs = append(errs, c.guard.dismiss())
	}
	return errors.Join(errs...)
}

// await polls a condition until it is true, returns an error, or takes longer than conditionTimeout.
func await(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, pollInterval, conditionTimeout, true, condition)
}

// clientConfig returns the client settings of every user. Tests need no rate limit in the client.
func clientConfig() *rest.Config { return &rest.Config{QPS: -1} }
