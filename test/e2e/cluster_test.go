package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/kind"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

// discovery is one of the two discoveries of the webhook, with a namespace whose notebooks have this discovery. AtStart
// finds the identity of the user when a Pod starts, and AtAdmission when a Pod is created. level is the Pod Security level
// of the namespace: the strictest level in which the discovery works.
type discovery struct {
	name, namespace, level string
}

var (
	// The shipped installation, which has no source of identities, serves the namespace of atStart.
	atStart = discovery{"AtStart", "at-start", "baseline"}
	// The second installation, whose sources of identities are the share and passwd files, serves the namespace of
	// atAdmission.
	atAdmission = discovery{"AtAdmission", "at-admission", "restricted"}
	discoveries = []discovery{atStart, atAdmission}
)

// hubNamespace returns the namespace for the servers of a JupyterHub with this discovery.
func (d discovery) hubNamespace() string { return "jhub-" + d.namespace }

// choose returns the first argument for discovery at start, and the second argument for discovery at admission.
func (d discovery) choose(start, admission string) string {
	if d == atStart {
		return start
	}
	return admission
}

// testCluster is a cluster with the webhook, the policies, the share, and two users who are no admins.
type testCluster struct {
	*node.Cluster
	helm  *helm.Helm
	share share
	// carol may run Pods, and use all homes of these tests except the home of dan.
	carol *controlplane.User
	// bob may run Pods like carol, but may use no home, except in TestRevokedAccess.
	bob *controlplane.User
}

const (
	systemName      = helm.Release
	systemNamespace = helm.Namespace
)

func newTestCluster(ctx context.Context, enclosure sealed.Enclosure) (*testCluster, error) {
	archives, err := images.Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	cluster, err := node.Start(ctx, node.Options{
		Enclosure: enclosure, SandboxImage: images.Pause, Archives: []string{archives.Notebooks, archives.Webhook}, Progress: os.Stderr,
	})
	if err != nil {
		return nil, err
	}
	w := &testCluster{Cluster: cluster, share: share{filepath.Join(enclosure.Folder, "share")}}
	if w.helm, err = helm.New(ctx, os.Stderr, enclosure.Folder); err != nil {
		return nil, err
	}
	w.helm.Kubeconfig = w.Admin.Kubeconfig
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"homes", w.makeHomes},
		{"namespaces", w.makeNamespaces},
		{"webhook and policies, by helm", w.installShipped},
		{"webhook that knows users", w.installSecond},
		{"webhooks in effect", w.awaitWebhooks},
	} {
		if err := progress.Stage(os.Stderr, step.name, func() error { return step.do(ctx) }); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return w, nil
}

// smallNodeValues are values of the chart for a small node: a notebook requests little memory, and probes are frequent, so
// that tests do not wait. The name of a user in a hub may be a mail address at x.org.
const smallNodeValues = `
config:
  user: {domains: [x.org]}
  notebook:
    resources: {requests: {cpu: 5m, memory: 32Mi}, limits: {memory: 1Gi}}
    probes:
      startup: {periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 600}
      readiness: {periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 3}
      liveness: {periodSeconds: 3, timeoutSeconds: 10, failureThreshold: 5}
`

// readExample returns a file of deploy/examples with changes. Each pair of changes is an old text, which the file must
// contain, and the new text.
func readExample(name string, changes ...string) (string, error) {
	data, err := os.ReadFile(filepath.Join("../../deploy/examples", name))
	if err != nil {
		return "", err
	}
	return replaceEach(name, string(data), changes...)
}

func replaceEach(name, text string, changes ...string) (string, error) {
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			return "", fmt.Errorf("%s has no %q to change", name, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	return text, nil
}

func (c *testCluster) apply(ctx context.Context, yaml string) error {
	return c.Admin.Do(ctx, yaml, "apply", "-f", "-")
}

// shareTemplate is the manifest kind.Share, with placeholders for the namespace and for a directory of the node. A
// PersistentVolume belongs to one claim, so each namespace has its own PersistentVolume of the same directory.
var shareTemplate = strings.NewReplacer("notebooks", "%[1]s", "/srv/hpc", "%[2]s").Replace(kind.Share)

func (c *testCluster) makeNamespaces(ctx context.Context) (err error) {
	if c.carol, err = c.User("carol"); err != nil {
		return err
	}
	if c.bob, err = c.User("bob"); err != nil {
		return err
	}
	for _, discovery := range discoveries {
		if err := c.makeNamespace(ctx, discovery.namespace, discovery.level); err != nil {
			return err
		}
	}
	return nil
}

// makeNamespace makes a namespace in which carol and bob may create Pods and workloads, and carol may use the homes that
// carolsHomes returns.
func (c *testCluster) makeNamespace(ctx context.Context, name, level string) error {
	if err := c.Namespace(ctx, name, map[string]string{"pod-security.kubernetes.io/enforce": level}); err != nil {
		return err
	}
	change := []string{"create", "get", "list", "watch", "delete", "patch", "update"}
	for _, user := range []*controlplane.User{c.carol, c.bob} {
		err := c.Allow(ctx, name, user,
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "persistentvolumeclaims"}, Verbs: change},
			rbacv1.PolicyRule{APIGroups: []string{"apps", "batch"}, Resources: []string{"*"}, Verbs: change},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/log", "events"}, Verbs: []string{"get", "list"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/exec", "pods/attach", "pods/portforward"},
				Verbs: []string{"create", "get"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/ephemeralcontainers"}, Verbs: []string{"patch", "update"}},
		)
		if err != nil {
			return err
		}
	}
	return c.allowUse(ctx, c.carol, name, carolsHomes()...)
}

// await calls condition repeatedly, until condition returns true or an error, or until the time limit is over.
func await(ctx context.Context, limit time.Duration, condition func(context.Context) (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, limit, true, condition)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not within %s", limit)
	}
	return err
}
