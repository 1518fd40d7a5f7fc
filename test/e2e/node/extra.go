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

// Extra is an additional node of a cluster. It is a machine in User Mode Linux, with its own kernel.
type Extra struct {
	*uml.Machine
	// shared is a folder of this machine, which the machine of the node has at sharedPath.
	shared string
}

// Host is the name of an additional node, its address, and the address range of its Pods.
type Host struct{ Name, Address, Range string }

const (
	sharedPath   = "/shared"
	toolsPath    = "/tools"
	archivesPath = "/archives"
	// diskSize is the size of an additional node's disk, which is a sparse file.
	diskSize = 8 << 30
	memory   = "3G"
	// forwardedAPI is the address of the API server for additional nodes. The API server itself listens on loopback.
	forwardedAPI = Address + ":6443"
)

// Boot starts the machine of an additional node. StartRuntime starts its container runtime, and Cluster.Join makes it a node.
func Boot(ctx context.Context, parts uml.Parts, host Host, o Options) (*Extra, error) {
	paths, err := tools.Build(ctx, o.Progress, tools.NodeTools()...)
	if err != nil {
		return nil, err
	}
	shared := filepath.Join(o.Enclosure.Folder, host.Name+"-shared")
	// Additional nodes reach one another through this machine.
	forwarding := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
	if err := errors.Join(os.MkdirAll(shared, 0o755), addAddress(ctx), forwarding); err != nil {
		return nil, err
	}
	folders := map[string]string{shared: sharedPath}
	for _, tool := range []tools.Tool{tools.Kubelet, tools.Containerd, tools.ContainerdShim, tools.Ctr} {
		folders[filepath.Dir(paths[tool])] = filepath.Join(toolsPath, string(tool))
	}
	for i, archive := range o.Archives {
		folders[filepath.Dir(archive)] = filepath.Join(archivesPath, fmt.Sprint(i))
	}
	machine, err := uml.Start(ctx, uml.Options{
		Parts: parts, Enclosure: o.Enclosure, Name: host.Name, Address: host.Address, Gateway: Address, Range: host.Range,
		Memory: memory, DiskSize: diskSize, Base: o.Base, Folders: folders,
	})
	if err != nil {
		return nil, err
	}
	return &Extra{Machine: machine, shared: shared}, nil
}

// StartRuntime starts the container runtime and imports the images.
func (s *Extra) StartRuntime(ctx context.Context, o Options) error {
	networks := filepath.Join(sharedPath, "cni")
	if err := errors.Join(
		s.write("containerd.toml", fmt.Sprintf(runtimeConfig, "/disk/containerd", o.SandboxImage, networks)),
		s.write("cni/pods.conflist", fmt.Sprintf(networkConfig, "/disk/addresses", s.Range)),
	); err != nil {
		return err
	}
	if err := s.start(ctx, tools.Containerd, "--config", filepath.Join(sharedPath, "containerd.toml")); err != nil {
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
		there := filepath.Join(archivesPath, fmt.Sprint(i), filepath.Base(archive))
		if _, err := s.ctr(ctx, "images", "import", "--snapshotter", "overlayfs", there); err != nil {
			return err
		}
	}
	return nil
}

func (s *Extra) ctr(ctx context.Context, arguments ...string) (string, error) {
	return s.Must(ctx, append([]string{s.tool(tools.Ctr), "--address", runtimeSocket, "--namespace", "k8s.io"}, arguments...)...)
}

// MountImage mounts the root of an image, read-only, unless something is mounted at that path already.
func (s *Extra) MountImage(ctx context.Context, image, at string) error {
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

// Join makes the machine of an additional node a node of the cluster, and waits until the node is ready.
func (c *Cluster) Join(ctx context.Context, s *Extra) error {
	server, err := c.forwardAPI()
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
		// The certificate of the API server is valid only for the address on loopback, at which the API server itself
		// listens.
		cluster.Server, cluster.TLSServerName = "https://"+forwardedAPI, server
	}
	if err := clientcmd.WriteToFile(*kubeconfig, filepath.Join(s.shared, "kubeconfig")); err != nil {
		return err
	}
	authority, err := os.ReadFile(c.path("kubelet-client.crt"))
	if err != nil {
		return err
	}
	there := func(name string) string { return filepath.Join(sharedPath, name) }
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

// forwardAPI forwards connections from forwardedAPI, which additional nodes can reach, to the API server. It returns the
// host name or address at which the API server itself listens.
func (c *Cluster) forwardAPI() (string, error) {
	server, err := url.Parse(c.Admin.Config.Host)
	if err != nil {
		return "", err
	}
	c.forward.Do(func() {
		var listener net.Listener
		if listener, c.forwardError = net.Listen("tcp", forwardedAPI); c.forwardError == nil {
			go sealed.Pass(listener, "tcp", server.Host)
		}
	})
	return server.Hostname(), c.forwardError
}

func (s *Extra) start(ctx context.Context, tool tools.Tool, arguments ...string) error {
	result, err := s.Do(ctx, uml.Command{
		Args: append([]string{s.tool(tool)}, arguments...), Log: "/disk/" + string(tool) + ".log",
		Environment: []string{"PATH=" + filepath.Join(toolsPath, string(tools.ContainerdShim)) + ":/usr/sbin:/sbin:/usr/bin:/bin"},
	})
	if err == nil && result.Error != "" {
		err = errors.New(result.Error)
	}
	return err
}

func (s *Extra) tool(tool tools.Tool) string {
	return filepath.Join(toolsPath, string(tool), string(tool))
}

func (s *Extra) write(name, content string) error {
	path := filepath.Join(s.shared, name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644))
}

// Logs returns the last lines of the logs of the node and its kernel, for an error message.
func (s *Extra) Logs(ctx context.Context) string {
	output, err := s.Must(ctx, "sh", "-c", "cd /disk && tail -n 25 *.log; dmesg | tail -n 10")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(output)
}
