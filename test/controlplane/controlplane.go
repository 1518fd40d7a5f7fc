// Package controlplane runs a real Kubernetes control plane, etcd and kube-apiserver, for tests and for the demo.
//
// It goes through controller-runtime's envtest, and differs from what envtest does on its own in this:
//
//   - The ServiceAccount plugin is on, so that pods get the token volume which they get in a real cluster. There is no
//     controller manager, hence Namespace, which also creates the ServiceAccount that the plugin asks for.
//   - Nothing outlives the process that started it, however that ends (see guard.go), and nothing stays in a temporary
//     folder.
//   - A control plane that has started is one that serves: webhooks and policies are in effect, not only stored, and so
//     are roles.
//   - Webhooks are called over HTTP/1.1, as behind a Service, not over HTTP/2 (see webhooks.go).
//   - It needs no network but loopback, not even a default route.
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
	// startTimeout is what etcd and kube-apiserver each may take to start. They take seconds; a machine with two cores
	// that compiles tests at the same time takes longer.
	startTimeout = machine.Patience
	// stopTimeout is what each may take to stop before it is killed. There is nothing in it to be lost.
	stopTimeout = 20 * time.Second
	// pollInterval is how often a condition is looked at that cannot be watched.
	pollInterval = 20 * time.Millisecond
	// conditionTimeout is how long such a condition may take: long enough for any machine, short of a test's own limit.
	conditionTimeout = machine.Patience
)

// Options say what a control plane is started with. The zero value is a plain one.
type Options struct {
	// Webhooks are files, or folders of files, whose MutatingWebhookConfigurations and ValidatingWebhookConfigurations
	// are installed. Other objects in them are ignored. What they say of a Service is replaced by ControlPlane.Webhook.
	Webhooks []string
	// WebhookTimeout is how many seconds the API server waits for each of them, 30 at most, in place of what they say. A test that
	// is not about time sets it, because a machine that is only slow takes longer than the two seconds of the shipped
	// configurations.
	WebhookTimeout int32
	// Policies are manifests that are applied as they are, in their order: ValidatingAdmissionPolicies, their bindings, and what
	// these need to be in effect, such as a namespace.
	Policies []string
	// AdmissionPlugins are enabled beside those that kube-apiserver enables by itself, for example AlwaysPullImages.
	AdmissionPlugins []string
	// Flags are given to kube-apiserver in place of its own ones of the same name.
	Flags map[string][]string
	// Progress is told what goes on while programs are built. It may be nil.
	Progress io.Writer
}

// A ControlPlane is a running one.
type ControlPlane struct {
	// Admin may do everything.
	Admin *User
	// Webhook says where the API server finds the server of the webhooks.
	Webhook WebhookAddress

	folder  *folder
	guard   *guard
	plane   envtest.ControlPlane
	kubectl string
	client  kubernetes.Interface
	users   sync.Mutex
	stop    func() error
}

// Start starts a control plane, after building its programs if need be. Cancelling ctx ends the start, but does not stop
// a control plane that has started: whoever started it must call Stop.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	silenced()
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
	// Nothing in envtest listens to a context, but everything in it notices that a process is gone.
	finished := make(chan struct{})
	detach := context.AfterFunc(ctx, func() { folder.interrupt(finished) })
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

// silenced discards envtest's log, of which controller-runtime else prints that nobody has set a logger, with a stack trace.
// There is nothing in it that the logs of etcd and kube-apiserver do not have, and errors are returned.
var silenced = sync.OnceFunc(func() { log.SetLogger(logr.Discard()) })

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
	// What comes with every cluster has its ServiceAccount from the controller manager too.
	if err := c.createServiceAccount(ctx, "default"); err != nil {
		return err
	}
	if err := c.installPolicies(ctx, options.Policies); err != nil {
		return err
	}
	return c.installWebhooks(ctx, options.Webhooks, options.WebhookTimeout)
}

// configure says how etcd and kube-apiserver are to run.
func (c *ControlPlane) configure(paths tools.Paths, options Options) error {
	etcd := &envtest.Etcd{DataDir: c.folder.join("etcd"), StartTimeout: startTimeout, StopTimeout: stopTimeout}
	server := &envtest.APIServer{CertDir: c.folder.join("kube-apiserver"), StartTimeout: startTimeout,
		StopTimeout: stopTimeout}
	c.plane = envtest.ControlPlane{Etcd: etcd, APIServer: server, KubectlPath: c.kubectl}
	for _, of := range []struct {
		tool     tools.Tool
		data     string
		path     *string
		out, err *io.Writer
	}{
		{tools.Etcd, etcd.DataDir, &etcd.Path, &etcd.Out, &etcd.Err},
		{tools.KubeAPIServer, server.CertDir, &server.Path, &server.Out, &server.Err},
	} {
		if err := os.Mkdir(of.data, 0o700); err != nil {
			return fmt.Errorf("create a folder for %s: %w", of.tool, err)
		}
		log, err := c.folder.createLog(string(of.tool))
		if err != nil {
			return err
		}
		*of.out, *of.err = log, log
		if *of.path, err = c.folder.wrap(string(of.tool), paths[of.tool]); err != nil {
			return err
		}
	}
	etcd.Configure().Set("unsafe-no-fsync", "true") // Nothing in it is kept.
	flags := server.Configure().
		Disable("disable-admission-plugins"). // Where envtest turns ServiceAccount off.
		// Left to itself, the API server looks for a network interface with a default route, and dies without one.
		// Loopback is no valid endpoint of the kubernetes Service, which nobody here uses.
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

// awaitReady waits until the API server says it is ready: later than healthy, which is what envtest waits for, since
// ready also means that its own caches are filled.
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

// Folder is where everything of this control plane is, until Stop removes it: etcd.log, kube-apiserver.log, and the
// kubeconfig files of its users in users/.
func (c *ControlPlane) Folder() string { return c.folder.path }

// ServiceAccountKey is the file with the key that ServiceAccount tokens are signed with, for a controller manager.
func (c *ControlPlane) ServiceAccountKey() string {
	return c.folder.join("kube-apiserver/sa-signer.key")
}

// Stop stops everything and removes what it left. It may be called more than once.
func (c *ControlPlane) Stop() error { return c.stop() }

func (c *ControlPlane) stopAll() error {
	var errs []error
	if err := c.plane.Stop(); err != nil {
		errs = append(errs, fmt.Errorf("stop the control plane: %w", err))
	}
	// What envtest gave up on, or did not get to know because it failed half way.
	c.folder.kill()
	errs = append(errs, c.folder.remove())
	if c.guard != nil {
		errs = append(errs, c.guard.dismiss())
	}
	return errors.Join(errs...)
}

// await polls a condition until it is met, fails, or takes longer than anything here can.
func await(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, pollInterval, conditionTimeout, true, condition)
}

// clientConfig is what every user's client starts from: tests want no rate limit on their side.
func clientConfig() *rest.Config { return &rest.Config{QPS: -1} }
