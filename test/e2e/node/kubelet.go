package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// kubeletConfig is a configuration file of the kubelet. Its placeholders are the file of the client CA, the root cgroup,
// the folder of the logs of Pods, and the file that lists name servers.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://` + runtimeSocket + `
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: %[1]q}
# Only the API server has the client certificate, and the API server has already checked RBAC.
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: %[2]q
failCgroupV1: false
failSwapOn: false
podLogsDir: %[3]q
resolvConf: %[4]q
clusterDNS: [` + Address + `]
clusterDomain: ` + clusterDomain + `
maxPods: 110
# Other programs use the disk and the memory too, so the thresholds are low.
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%}
imageGCHighThresholdPercent: 100
# Tests start and end dozens of Pods.
registryPullQPS: 0
eventRecordQPS: 100
eventBurst: 200
kubeAPIQPS: 100
kubeAPIBurst: 200
`

func (c *Cluster) kubeletClient() (string, error) {
	pair, err := pki.New(24*time.Hour, "kube-apiserver")
	if err != nil {
		return "", fmt.Errorf("make the API server's certificate for the kubelet: %w", err)
	}
	path := c.path("kubelet-client")
	return path, errors.Join(os.WriteFile(path+".crt", pair.Cert, 0o644), os.WriteFile(path+".key", pair.Key, 0o600))
}

func (c *Cluster) startKubelet(_ context.Context, _ Options) error {
	node, err := c.User("system:node:"+sealed.HostName, "system:nodes")
	if err != nil {
		return err
	}
	config, resolver := c.path("kubelet.yaml"), c.path("resolv.conf")
	content := fmt.Sprintf(kubeletConfig, c.path("kubelet-client.crt"), c.Enclosure.Cgroup, c.path("pod-logs"), resolver)
	if err := errors.Join(os.WriteFile(config, []byte(content), 0o644), os.WriteFile(resolver, nil, 0o644)); err != nil {
		return err
	}
	c.release()
	return c.start(tools.Kubelet, "--config="+config, "--kubeconfig="+node.Kubeconfig, "--root-dir="+c.path("kubelet"),
		"--hostname-override="+sealed.HostName, "--node-ip="+Address)
}
