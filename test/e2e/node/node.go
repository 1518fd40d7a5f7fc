// Package node makes a cluster of one node out of a control plane: a controller manager and a scheduler, a kubelet,
// containerd, runc and the CNI plugins, all of them real. It is to be run in a sealed enclosure, which takes everything down.
package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// Addresses are from the ranges that are set aside for documentation, so that nothing real is ever meant.
const (
	// Address is the node's.
	Address       = "192.0.2.1"
	podRange      = "198.51.100.0/24"
	serviceRange  = "203.0.113.0/24"
	runtimeSocket = "/run/containerd/containerd.sock"
)

const (
	// stepTimeout is how long anything here may take to start.
	stepTimeout  = machine.Patience
	pollInterval = 50 * time.Millisecond
)

// A Cluster is a control plane with one node.
type Cluster struct {
	*controlplane.ControlPlane
	// Client is the admin's.
	Client *kubernetes.Clientset
	// Enclosure is where the node is.
	Enclosure sealed.Enclosure

	tools    tools.Paths
	programs []*program
	// seconds is done once, for the first node that joins.
	seconds sync.Once
	// release gives up what is reserved for the kubelet.
	release func()
}

// Options of a cluster.
type Options struct {
	Enclosure sealed.Enclosure
	// SandboxImage is the image of a pod's sandbox, which is among the Archives.
	SandboxImage string
	// Archives are files that ctr imports images from.
	Archives []string
	// Base is the disk that a second machine begins with, which has images already. It may be empty.
	Base string
	// Progress is told what takes how long.
	Progress io.Writer
}

// Build builds the programs of a cluster that the cache does not have. It needs a network for that, and Start has none.
func Build(ctx context.Context, out io.Writer) (tools.Paths, error) {
	return tools.Build(ctx, out, append(tools.ControlPlaneTools(), tools.NodeTools()...)...)
}

// Start starts a cluster whose node is ready. What it needs must be built: there is no network here. There is no Stop.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	paths, err := Build(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Enclosure: o.Enclosure, tools: paths}
	for _, step := range []struct {
		name string
		do   func(context.Context, Options) error
	}{
		{"inotify instances", c.reserve},
		{"address of the node", c.addAddress},
		{"control plane", c.startControlPlane},
		{"service of the API server", c.startService},
		{"containerd", c.startRuntime},
		{"images", c.importImages},
		{"controller manager and scheduler", c.startControllers},
		{"names", c.startNames},
		{"kubelet", c.startKubelet},
		{"node ready", c.awaitNode},
	} {
		if err := progress.Stage(o.Progress, step.name, func() error { return step.do(ctx, o) }); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", step.name, err, c.logs())
		}
	}
	return c, nil
}

func (c *Cluster) reserve(ctx context.Context, o Options) (err error) {
	c.release, err = reserveWatchers(ctx, o.Progress, stepTimeout, watcher)
	return err
}

func (c *Cluster) addAddress(ctx context.Context, _ Options) error {
	// On loopback, so that it is there without any device of the machine's.
	return addAddress(ctx)
}

// addAddress may be called twice: a second machine may be there before the control plane.
func addAddress(ctx context.Context) error {
	return run(ctx, "ip", "address", "replace", Address+"/32", "dev", "lo")
}

func (c *Cluster) startControlPlane(ctx context.Context, o Options) error {
	certificate, err := c.kubeletClient()
	if err != nil {
		return err
	}
	c.ControlPlane, err = controlplane.Start(ctx, controlplane.Options{
		Flags: map[string][]string{
			"authorization-mode":              {"Node,RBAC"},
			"allow-privileged":                {"true"},
			"service-cluster-ip-range":        {serviceRange},
			"kubelet-client-certificate":      {certificate + ".crt"},
			"kubelet-client-key":              {certificate + ".key"},
			"kubelet-preferred-address-types": {"InternalIP"},
			"enable-aggregator-routing":       {"true"}, // There is no kube-proxy: webhooks are called at their pods.
		},
		Progress: o.Progress,
	})
	if err != nil {
		return err
	}
	c.Client, err = kubernetes.NewForConfig(c.Admin.Config)
	return err
}

func (c *Cluster) startControllers(_ context.Context, _ Options) error {
	manager, err := c.User("system:kube-controller-manager", "system:masters")
	if err != nil {
		return err
	}
	if err := c.start(tools.KubeControllerManager, "--kubeconfig="+manager.Kubeconfig, "--leader-elect=false", "--secure-port=0",
		// As in most clusters, each controller asks the API server as a ServiceAccount of its own.
		"--use-service-account-credentials", "--root-ca-file="+c.path(rootsFile),
		"--service-account-private-key-file="+c.ServiceAccountKey()); err != nil {
		return err
	}
	scheduler, err := c.User("system:kube-scheduler")
	if err != nil {
		return err
	}
	return c.start(tools.KubeScheduler, "--kubeconfig="+scheduler.Kubeconfig, "--leader-elect=false", "--secure-port=0")
}

func (c *Cluster) awaitNode(ctx context.Context, _ Options) error {
	return c.awaitReady(ctx, sealed.HostName)
}

// awaitReady waits until a node is ready.
func (c *Cluster) awaitReady(ctx context.Context, name string) error {
	return c.await(ctx, func(ctx context.Context) (bool, error) {
		node, err := c.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // It registers itself in a while.
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue, nil
			}
		}
		return false, nil
	})
}

// await polls until a condition is met or a program of the node is dead.
func (c *Cluster) await(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, pollInterval, stepTimeout, true, func(ctx context.Context) (bool, error) {
		for _, p := range c.programs {
			if err := p.dead(); err != nil {
				return false, err
			}
		}
		return condition(ctx)
	})
}

// path is where something of the node is.
func (c *Cluster) path(name string) string { return filepath.Join(c.Enclosure.Folder, name) }

// run runs a command that is short, and shows what it said if it fails.
func run(ctx context.Context, name string, arguments ...string) error {
	said, err := exec.CommandContext(ctx, name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, bytes.TrimSpace(said))
	}
	return nil
}

// A program is one that runs until the enclosure is gone.
type program struct {
	name string
	log  string
	done chan struct{}
	err  error
}

// start starts one of the node's programs.
func (c *Cluster) start(tool tools.Tool, arguments ...string) error {
	log, err := os.Create(c.path(string(tool) + ".log"))
	if err != nil {
		return err
	}
	command := exec.Command(c.tools[tool], arguments...)
	command.Stdout, command.Stderr = log, log
	// containerd looks for its shim, runc and mount in the PATH.
	command.Env = append(os.Environ(), "PATH="+filepath.Dir(c.tools[tools.ContainerdShim])+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
	if err := command.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	p := &program{name: string(tool), log: log.Name(), done: make(chan struct{})}
	c.programs = append(c.programs, p)
	go func() {
		p.err = errors.Join(command.Wait(), log.Close())
		close(p.done)
	}()
	return nil
}

// dead is an error if the program is not running any more.
func (p *program) dead() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %w", p.name, errors.Join(p.err, errors.New("it was to go on")))
	default:
		return nil
	}
}

func (c *Cluster) logs() string {
	var names []string
	for _, p := range c.programs {
		names = append(names, p.log)
	}
	return progress.Ends(names...)
}
