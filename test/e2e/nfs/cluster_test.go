package nfs

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/uml"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

// serverNode is the name of the second node, which has the NFS server, and clientNode the name of the third node.
const serverNode, clientNode = "nfs", "nfs-2"

// serverAddress is the address of the NFS server, in its network namespace on the second node.
const serverAddress = "198.18.0.2"

// nfsNamespace is a namespace whose share is mounted with one version of NFS, and whose notebooks have one discovery. level
// is its Pod Security level.
type nfsNamespace struct {
	name, discovery, level string
	// path is the path of the export. With NFS 4, the path is relative to the root of all exports.
	path    string
	options []string
}

var (
	version3 = []string{"vers=3", "rsize=1048576", "wsize=1048576", "hard", "nolock", "proto=tcp"}
	version4 = []string{"vers=4.2", "hard"}

	start3     = nfsNamespace{"start-3", "AtStart", "baseline", "/srv/hpc", version3}
	start4     = nfsNamespace{"start-4", "AtStart", "baseline", "/hpc", version4}
	admission3 = nfsNamespace{"admission-3", "AtAdmission", "restricted", "/srv/hpc", version3}
	admission4 = nfsNamespace{"admission-4", "AtAdmission", "restricted", "/hpc", version4}

	// read4 and closed3 exist only in a run before a release.
	read4   = nfsNamespace{"read-4", "AtStart", "baseline", "/read", version4}
	closed3 = nfsNamespace{"closed-3", "AtStart", "baseline", "/srv/hpc/closed", version3}
)

// namespaces returns the namespaces of this run.
func namespaces() []nfsNamespace {
	all := []nfsNamespace{start3, start4, admission3, admission4}
	if release() {
		all = append(all, read4, closed3)
	}
	return all
}

// release reports whether this run is before a release. Such a run may take more than an hour.
func release() bool { return os.Getenv("RELEASE_CHECK") != "" }

// home is a home on the NFS server's disk.
type home struct {
	name     string
	uid, gid int
	mode     string
}

// homes are the homes on the NFS server at the beginning. Tests make other homes with makeHome.
var homes = []home{
	{"alice", 5001, 6001, "0700"},
	{"bob", 5002, 6002, "0700"},
	{"qiang.guo03", 5003, 6003, "0700"},
	{"erin", 5004, 6004, "0700"},
	{"frank", 5005, 6005, "0700"},
	{"own-fs", 5007, 6007, "0700"},
	{"grace", 5008, 6008, "0700"},
	{"heidi", 5009, 6009, "0700"},
	{"ivan", 5010, 6010, "0700"},
	{"kim", 5012, 6012, "0700"},
	{"grouped", 5013, 6013, "0700"},
	{"olga", 5014, 6014, "0700"},
	{"lena", 5015, 6015, "0700"},
}

// testCluster is a cluster of three nodes, with the webhook, an NFS server, and carol, who is no admin.
type testCluster struct {
	*node.Cluster
	// server is the node with the NFS server. client is the node that is only an NFS client.
	server, client *node.Extra
	helm           *helm.Helm
	carol          *controlplane.User
}

//go:embed server.sh
var serverScript string

func newTestCluster(ctx context.Context, enclosure sealed.Enclosure) (*testCluster, error) {
	archives, err := images.Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	w := &testCluster{}
	parts, err := uml.Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	options := node.Options{Enclosure: enclosure, SandboxImage: images.Pause, Archives: []string{archives.Notebooks}, Progress: os.Stderr}
	var base node.Base
	err = progress.Stage(os.Stderr, "disk with the notebooks' images", func() (err error) {
		base, err = node.BuildBase(ctx, parts, options)
		return err
	})
	if err != nil {
		return nil, err
	}
	first, second := options, options
	// No notebook runs on the first node.
	first.Archives = []string{base.Sandbox, archives.Webhook}
	second.Archives, second.Base = []string{archives.Webhook}, base.Disk
	err = runTogether(
		func() error { return w.startServer(ctx, parts, second) },
		func() error { return w.startClient(ctx, parts, second) },
		func() (err error) {
			w.Cluster, err = node.Start(ctx, first)
			return err
		})
	if err != nil {
		return nil, err
	}
	if w.helm, err = helm.New(ctx, os.Stderr, enclosure.Folder); err != nil {
		return nil, err
	}
	w.helm.Kubeconfig = w.Admin.Kubeconfig
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"namespaces", w.makeNamespaces},
		{"second and third node ready", func(ctx context.Context) error {
			return runTogether(
				func() error { return w.Join(ctx, w.server) },
				func() error { return w.Join(ctx, w.client) })
		}},
		{"webhook and policies by helm, and the webhook that mounts the share", func(ctx context.Context) error {
			return runTogether(
				func() error { return w.installShipped(ctx) },
				func() error { return w.installSecond(ctx) })
		}},
		{"webhooks in effect", w.awaitWebhooks},
	} {
		if err := progress.Stage(os.Stderr, step.name, func() error { return step.do(ctx) }); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return w, nil
}

// startServer starts the second machine, its NFS server with the homes, and its container runtime. These steps do not need
// the control plane, so newTestCluster starts the control plane at the same time.
func (c *testCluster) startServer(ctx context.Context, parts uml.Parts, o node.Options) error {
	host := node.Host{Name: serverNode, Address: "192.0.2.10", Range: "198.18.1.0/24"}
	serverRoute := strings.Fields("route add 198.18.0.0/24 via " + host.Address)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"second machine", func() (err error) {
			c.server, err = node.Boot(ctx, parts, host, o)
			return err
		}},
		{"NFS server", func() error {
			_, err := c.server.Script(ctx, serverScript)
			return errors.Join(err, exec.CommandContext(ctx, "ip", serverRoute...).Run())
		}},
		{"homes", func() error { return c.makeHomes(ctx) }},
		{"container runtime and images of the second machine", func() error { return c.server.StartRuntime(ctx, o) }},
	} {
		if err := progress.Stage(os.Stderr, step.name, step.do); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// startClient starts the third machine, which is only an NFS client.
func (c *testCluster) startClient(ctx context.Context, parts uml.Parts, o node.Options) error {
	return progress.Stage(os.Stderr, "third machine, its container runtime and images", func() (err error) {
		host := node.Host{Name: clientNode, Address: "192.0.2.11", Range: "198.18.2.0/24"}
		if c.client, err = node.Boot(ctx, parts, host, o); err != nil {
			return err
		}
		return c.client.StartRuntime(ctx, o)
	})
}

// makeHomes makes the homes on the server's own disk. The home own-fs is a file system of its own, as on servers with a ZFS
// dataset for each user.
func (c *testCluster) makeHomes(ctx context.Context) error {
	var script strings.Builder
	for _, h := range homes {
		fmt.Fprintf(&script, "mkdir /srv/hpc/home/%[1]s\n", h.name)
		if h.name == "own-fs" {
			fmt.Fprintf(&script, "truncate -s 64M /disk/%[1]s.img; mkfs.ext4 -q /disk/%[1]s.img\n"+
				"mount -o loop /disk/%[1]s.img /srv/hpc/home/%[1]s; rmdir /srv/hpc/home/%[1]s/lost+found\n", h.name)
		}
		fmt.Fprintf(&script, "chown %d:%d /srv/hpc/home/%[3]s; chmod %[4]s /srv/hpc/home/%[3]s\n", h.uid, h.gid, h.name, h.mode)
	}
	_, err := c.server.Script(ctx, script.String())
	return err
}

func (c *testCluster) makeNamespaces(ctx context.Context) (err error) {
	if c.carol, err = c.User("carol"); err != nil {
		return err
	}
	for _, s := range namespaces() {
		if err := c.Namespace(ctx, s.name, map[string]string{"pod-security.kubernetes.io/enforce": s.level}); err != nil {
			return err
		}
		err := c.Allow(ctx, s.name, c.carol,
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get", "list", "watch", "delete"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/log", "events"}, Verbs: []string{"get", "list"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create", "get"}},
			rbacv1.PolicyRule{APIGroups: []string{"jupyter-user.io"}, Resources: []string{"homes"}, Verbs: []string{"use"}})
		if err != nil {
			return err
		}
	}
	return nil
}

func runTogether(all ...func() error) error {
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, do := range all {
		group.Go(func() { errs[i] = do() })
	}
	group.Wait()
	return errors.Join(errs...)
}

// await calls condition repeatedly, until condition returns true or an error, or until the time limit is over.
func await(ctx context.Context, limit time.Duration, condition func(context.Context) (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, limit, true, condition)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not within %s", limit)
	}
	return err
}
