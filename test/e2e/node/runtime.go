package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// runtimeConfig is the configuration of containerd. Its placeholders are containerd's folder, the sandbox image, and the
// folder of the CNI configuration.
const runtimeConfig = `version = 3
root = %[1]q
state = "/run/containerd"
[grpc]
address = "` + runtimeSocket + `"
[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = %[2]q
[plugins.'io.containerd.cri.v1.runtime']
# A machine without CAP_SYS_RESOURCE may not lower the OOM score of a sandbox.
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = %[3]q
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`

// networkConfig is the CNI configuration: a single bridge. There is no masquerading, because no packet leaves the
// enclosure. The placeholders are the folder that records the used addresses, and the address range.
const networkConfig = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "pods0",
      "isGateway": true,
      "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}
    }
  ]
}
`

func (c *Cluster) startRuntime(ctx context.Context, o Options) error {
	networks := c.path("cni")
	config := c.path("containerd.toml")
	for path, content := range map[string]string{
		filepath.Join(networks, "pods.conflist"): fmt.Sprintf(networkConfig, c.path("addresses"), podRange),
		config:                                   fmt.Sprintf(runtimeConfig, c.path("containerd"), o.SandboxImage, networks),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := c.start(tools.Containerd, "--config", config); err != nil {
		return err
	}
	return c.await(ctx, func(ctx context.Context) (bool, error) {
		return run(ctx, c.tools[tools.Ctr], "--address", runtimeSocket, "version") == nil, nil
	})
}

func (c *Cluster) importImages(ctx context.Context, o Options) error {
	for _, archive := range o.Archives {
		if err := run(ctx, c.tools[tools.Ctr], "--address", runtimeSocket, "--namespace", "k8s.io", "images", "import",
			"--snapshotter", "overlayfs", archive); err != nil {
			return err
		}
	}
	return nil
}
