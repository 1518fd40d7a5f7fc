package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/uml"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// Second is another node of the cluster: its own machine in User Mode Linux, with another kernel.
type Second struct {
	*uml.Machine
	// shared is a folder of this machine, which the second machine has at sharedThere.
	shared string
}

// Place is the name and the addresses of a second node.
type Place struct{ Name, Address, Range string }

const (
	sharedThere   = "/shared"
	toolsThere    = "/tools"
	archivesThere = "/archives"
	// diskSize is the size of a second node's disk, which is a sparse file.
	diskSize = 8 << 30
	memory   = "3G"
	// secondAPI is the address of the API server for second nodes. The API server itself listens on loopback.
	secondAPI = Address + ":6443"
)

// Boot starts a second node with its container runtime and the images of the options. It needs no control plane yet.
func Boot(ctx context.Context, parts uml.Parts, place Place, o Options) (*Second, error) {
	paths, err := tools.Build(ctx, o.Progress, tools.NodeTools()...)
	if err != nil {
		return nil, err
	}
	shared := filepath.Join(o.Enclosure.Folder, place.Name+"-shared")
	// Machines reach one another through this machine.
	forwarding := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
	if err := errors.Join(os.MkdirAll(shared, 0o755), addAddress(ctx), forwarding); err != nil {
		return nil, err
	}
	folders := map[string]string{shared: sharedThere}
	for _, tool := range []tools.Tool{tools.Kubelet, tools.Containerd, tools.ContainerdShim, tools.Ctr} {
		folders[filepath.Dir(paths[tool])] = filepath.Join(toolsThere, string(tool))
	}
	for i, archive := range o.Archives {
		folders[filepath.Dir(archive)] = filepath.Join(archivesThere, fmt.Sprint(i))
	}
	machine, err := uml.Start(ctx, uml.Options{
		Parts: parts, Enclosure: o.Enclosure, Name: place.Name, Address: place.Address, Gateway: Address, Range: place.Range,
		Memory: memory, Disk: diskSize, Base: o.Base, Folders: folders,
	})
	if err != nil {
		return nil, err
	}
	return &Second{Machine: machine, shared: shared}, nil
}

// StartRuntime starts the container runtime and imports the images.
func (s *Second) StartRuntime(ctx context.Context, o Options) error {
	networks := filepath.Join(sharedThere, "cni")
	if err := errors.Join(
		s.write("containerd.toml", fmt.Sprintf(runtimeConfig, "/disk/containerd", o.SandboxImage, networks)),
		s.write("cni/pods.conflist", fmt.Sprintf(network, "/disk/addresses", s.Range)),
	); err != nil {
		return err
	}
	if err := s.start(ctx, tools.Containerd, "--config", filepath.Join(sharedThere, "containerd.toml")); err != nil {
		return err
	}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, stepTimeout, true, func(ctx context.Context) (bool, error) {
		_, err := s.ctr(ctx, "version")
		return err == nil, s.Ended()
	})
	if err != nil {
		return fmt.Errorf("containerd of %s: %w\n%s", s.Name, err, s.Logs(ctx))
	}
	for i, archive := range o.Archives {
		there := filepath.Join(archivesThere, fmt.Sprint(i), filepath.Base(archive))
		if _, err := s.ctr(ctx, "images", "import", "--snapshotter", "overlayfs", there); err != nil {
			return err
		}
	}
	return nil
}

// ctr runs a command of the container runtime's client.
func (s *Second) ctr(ctx context.Context, arguments ...string) (string, error) {
	return s.Must(ctx, append([]string{s.tool(tools.Ctr), "--address", runtimeSocket, "--namespace", "k8s.io"}, arguments...)...)
}

// MountImage mounts the root of an image, read-only, unless it is mounted already.
func (s *Second) MountImage(ctx context.Context, image, at string) error {
	if _, err := s.Must(ctx, "mountpoint", "--quiet", at); err == nil {
		return nil
	}
	_, err := s.Must(ctx, "mkdir", "-p", at)
	if err != nil {
		return err
	}
	_, err = s.ctr(ctx, "images", "mount", "--snapshotter", "overlayfs", image, at)
	return err
}

// Join makes a second machine a node of the cluster, and waits until the node is ready.
func (c *Cluster) Join(ctx context.Context, s *Second) error {
	server, err := c.serveSeconds()
	if err != nil {
		return err
	}
	user, err := c.User("system:node:"+s.Name, "system:nodes")
	if err != nil {
		return err
	}
	kubeconfig, err := clientcmd.LoadFromFile(user.Kubeconfig)
	if err != nil {
		return err
	}
	for _, cluster := range kubeconfig.Clusters {
		// The API server's certificate is for its address on loopback.
		cluster.Server, cluster.TLSServerName = "https://"+secondAPI, server
	}
	if err := clientcmd.WriteToFile(*kubeconfig, filepath.Join(s.shared, "kubeconfig")); err != nil {
		return err
	}
	authority, err := os.ReadFile(c.path("kubelet-client.crt"))
	if err != nil {
		return err
	}
	there := func(name string) string { return filepath.Join(sharedThere, name) }
	if err := errors.Join(s.write("client.crt", string(authority)), s.write("resolv.conf", ""), s.write("kubelet.yaml",
		fmt.Sprintf(kubeletConfig, there("client.crt"), "/", "/disk/pod-logs", there("resolv.conf")))); err != nil {
		return err
	}
	if err := s.start(ctx, tools.Kubelet, "--config="+there("kubelet.yaml"), "--kubeconfig="+there("kubeconfig"),
		"--root-dir=/disk/kubelet", "--hostname-override="+s.Name, "--node-ip="+s.Address); err != nil {
		return err
	}
	if err := c.awaitReady(ctx, s.Name); err != nil {
		return fmt.Errorf("node %s: %w\n%s", s.Name, err, s.Logs(ctx))
	}
	return nil
}

// serveSeconds forwards connections of second nodes to the API server, on an address that they can reach. It returns the API
// server's name.
func (c *Cluster) serveSeconds() (string, error) {
	server, err := url.Parse(c.Admin.Config.Host)
	if err != nil {
		return "", err
	}
	c.seconds.Do(func() {
		var listener net.Listener
		if listener, err = net.Listen("tcp", secondAPI); err == nil {
			go sealed.Pass(listener, "tcp", server.Host)
		}
	})
	return server.Hostname(), err
}

// start starts a program of the node and does not wait for its end.
func (s *Second) start(ctx context.Context, tool tools.Tool, arguments ...string) error {
	result, err := s.Do(ctx, uml.Command{
		Args: append([]string{s.tool(tool)}, arguments...), Log: "/disk/" + string(tool) + ".log",
		Environment: []string{"PATH=" + filepath.Join(toolsThere, string(tools.ContainerdShim)) + ":/usr/sbin:/sbin:/usr/bin:/bin"},
	})
	if err == nil && result.Error != "" {
		err = errors.New(result.Error)
	}
	return err
}

func (s *Second) tool(tool tools.Tool) string {
	return filepath.Join(toolsThere, string(tool), string(tool))
}

func (s *Second) write(name, content string) error {
	path := filepath.Join(s.shared, name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644))
}

// Logs returns the ends of the node's logs, for an error.
func (s *Second) Logs(ctx context.Context) string {
	said, err := s.Must(ctx, "sh", "-c", "cd /disk && tail -n 25 *.log; dmesg | tail -n 10")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(said)
}
