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

// discovery is one of the two discoveries. Each has its own namespace, with the strictest level in which it works.
type discovery struct {
	name, namespace, level string
}

var (
	// atStart has a webhook as shipped, without a source of identities.
	atStart = discovery{"AtStart", "at-start", "baseline"}
	// atAdmission has a webhook with the share as a source of identities.
	atAdmission = discovery{"AtAdmission", "at-admission", "restricted"}
	discoveries = []discovery{atStart, atAdmission}
)

// hub returns the namespace for a hub's servers with this discovery.
func (w discovery) hub() string { return "jhub-" + w.namespace }

// either returns the value for this discovery.
func (w discovery) either(start, admission string) string {
	if w == atStart {
		return start
	}
	return admission
}

// World is the cluster with the webhook, the policies, the share, and users who are no admins.
type World struct {
	*node.Cluster
	helm  *helm.Helm
	share share
	// carol may run Pods, and use all homes of these tests except one.
	carol *controlplane.User
	// bob may run Pods as carol may, and use no home.
	bob *controlplane.User
}

const (
	systemName  = helm.Release
	systemSpace = helm.Namespace
)

func newWorld(ctx context.Context, enclosure sealed.Enclosure) (*World, error) {
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
	w := &World{Cluster: cluster, share: share{filepath.Join(enclosure.Folder, "share")}}
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

// configuration has the values for such a small node: a notebook needs little memory, and probes are frequent, so that tests do
// not wait. A hub knows users by their mail addresses.
const configuration = `
config:
  user: {domains: [x.org]}
  notebook:
    resources: {requests: {cpu: 5m, memory: 32Mi}, limits: {memory: 1Gi}}
    probes:
      startup: {periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 600}
      readiness: {periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 3}
      liveness: {periodSeconds: 3, timeoutSeconds: 10, failureThreshold: 5}
`

// example returns a filled-in file of deploy/examples.
func example(name string, changes ...string) (string, error) {
	data, err := os.ReadFile(filepath.Join("../../deploy/examples", name))
	if err != nil {
		return "", err
	}
	return changed(name, string(data), changes...)
}

func changed(name, text string, changes ...string) (string, error) {
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			return "", fmt.Errorf("%s has no %q to change", name, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	return text, nil
}

// apply applies YAML as the admin.
func (w *World) apply(ctx context.Context, yaml string) error {
	return w.Admin.Do(ctx, yaml, "apply", "-f", "-")
}

// storage is the example's share, with a directory of the node instead of the NFS server. A volume belongs to one claim, so each
// namespace has its own volume on the same directory.
var storage = strings.NewReplacer("notebooks", "%[1]s", "/srv/hpc", "%[2]s").Replace(kind.Share)

func (w *World) makeNamespaces(ctx context.Context) (err error) {
	if w.carol, err = w.User("carol"); err != nil {
		return err
	}
	if w.bob, err = w.User("bob"); err != nil {
		return err
	}
	for _, discovery := range discoveries {
		if err := w.makeNamespace(ctx, discovery.namespace, discovery.level); err != nil {
			return err
		}
	}
	return nil
}

// makeNamespace makes a namespace in which carol and bob may create Pods and workloads, and carol may use homes.
func (w *World) makeNamespace(ctx context.Context, name, level string) error {
	if err := w.Namespace(ctx, name, map[string]string{"pod-security.kubernetes.io/enforce": level}); err != nil {
		return err
	}
	change := []string{"create", "get", "list", "watch", "delete", "patch", "update"}
	for _, user := range []*controlplane.User{w.carol, w.bob} {
		err := w.Allow(ctx, name, user,
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
	return w.mayUse(ctx, w.carol, name, carolsHomes()...)
}

// await polls a condition until it is met, it fails, or the time limit is over.
func await(ctx context.Context, limit time.Duration, condition func(context.Context) (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, limit, true, condition)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not within %s", limit)
	}
	return err
}
