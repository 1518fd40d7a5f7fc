// Package node makes a cluster: a control plane with controller manager and scheduler, and one node with kubelet, containerd,
// runc and the CNI plugins. Cluster.Join adds nodes with another kernel. A cluster must run in an enclosure (see the package
// sealed), which removes everything at its end.
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

// The addresses of the node, its Pods and its Services are from the ranges for documentation, which no real machine has.
const (
	Address       = "192.0.2.1"
	podRange      = "198.51.100.0/24"
	serviceRange  = "203.0.113.0/24"
	runtimeSocket = "/run/containerd/containerd.sock"
)

const (
	// stepTimeout is the time limit for one step of the start.
	stepTimeout  = machine.Patience
	pollInterval = 50 * time.Millisecond
)

// Cluster is a control plane with one node, and the nodes that Join has added.
type Cluster struct {
	*controlplane.ControlPlane
	Client    *kubernetes.Clientset
	Enclosure sealed.Enclosure

	tools    tools.Paths
	programs []*program
	// forward makes forwardAPI listen only once, for the first additional node. Every node gets the error of that.
	forward      sync.Once
	forwardError error
	// release frees the inotify instances that are reserved for the kubelet.
	release func()
}

// Options configures a cluster and its additional nodes.
type Options struct {
	Enclosure    sealed.Enclosure
	SandboxImage string
	// Archives are the files with the images, for the command ctr images import.
	Archives []string
	// Base is the path of the initial disk of an additional node, with images. Without a path, the disk is empty.
	Base string
	// Progress receives messages about the progress of builds and of the start.
	Progress io.Writer
}

// Build returns the paths of the programs of a cluster, and builds those that the cache does not have. Building needs a
// network, so the first call must be outside the enclosure.
func Build(ctx context.Context, out io.Writer) (tools.Paths, error) {
	return tools.Build(ctx, out, append(tools.ControlPlaneTools(), tools.NodeTools()...)...)
}

// Start starts a cluster and waits until its node is ready. An enclosure has no network, so Build must have run before, and
// the images must have been built. The cluster ends with the enclosure.
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
		{"names", c.startDNS},
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
	c.release, err = reserveInotify(ctx, o.Progress, stepTimeout, newInotify)
	return err
}

func (c *Cluster) addAddress(ctx context.Context, _ Options) error {
	return addAddress(ctx)
}

// addAddress adds the address of the node to loopback, so that no network device is needed. Start and Boot both call
// addAddress, in any order, so a second call must change nothing.
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
			// There is no kube-proxy, so the API server must call a webhook at the address of its Pod, and not of its
			// Service.
			"enable-aggregator-routing": {"true"},
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
		// As in most clusters, each controller calls the API server with its own ServiceAccount.
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

func (c *Cluster) awaitReady(ctx context.Context, name string) error {
	return c.await(ctx, func(ctx context.Context) (bool, error) {
		node, err := c.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // The node registers itself later.
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue, nil
			}
		}
		return false, nil
	})
}

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

func (c *Cluster) path(name string) string { return filepath.Join(c.Enclosure.Folder, name) }

// run runs a command. If the command fails, the error contains the output of the command.
func run(ctx context.Context, name string, arguments ...string) error {
	output, err := exec.CommandContext(ctx, name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, bytes.TrimSpace(output))
	}
	return nil
}

// program is a started program of the node. When the program has ended, done is closed, and err is the result of waiting
// for it.
type program struct {
	name string
	log  string
	done chan struct{}
	err  error
}

func (c *Cluster) start(tool tools.Tool, arguments ...string) error {
	log, err := os.Create(c.path(string(tool) + ".log"))
	if err != nil {
		return err
	}
	command := exec.Command(c.tools[tool], arguments...)
	command.Stdout, command.Stderr = log, log
	// In the PATH, containerd looks for its shim and for the programs runc and mount.
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

// dead returns an error if the program has ended.
func (p *program) dead() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %w", p.name, errors.Join(p.err, errors.New("it must keep running")))
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
