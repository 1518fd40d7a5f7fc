package integration

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// TestVerifierDeniesLaterChanges runs another webhook that changes a field after each call of our webhook. No policy checks
// this field. The verifier denies the Pod and names the field. Without the verifier the Pod is admitted, which shows that
// nothing else denies it.
func TestVerifierDeniesLaterChanges(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "later-changes", "baseline")
	createChanged := func(t *testing.T, change string) controlplane.Result {
		return c.kubectl(t, "run", "nb", "-n", "later-changes", "--image=quay.io/jupyter/minimal-notebook", "--dry-run=server", "--labels=jupyter-user=qiang.guo03,repeating="+change)
	}
	fields := map[string]string{
		"exec-probe":    "spec.containers[0].readinessProbe.exec.command",
		"exec-hook":     "spec.containers[0].lifecycle.postStart.exec.command",
		"floor":         "spec.initContainers[0].args",
		"home":          "spec.containers[0].env[1]",
		"working-dir":   "spec.containers[0].workingDir",
		"writable-root": "spec.initContainers[0].securityContext.readOnlyRootFilesystem",
		"scratch-size":  "spec.volumes[2].emptyDir.sizeLimit",
	}
	for does, field := range fields {
		t.Run(does, func(t *testing.T) {
			result := createChanged(t, does)
			assert.Equal(t, 1, result.ExitCode, result.Stdout)
			assert.Contains(t, result.Stderr, "Error from server (Drifted): ")
			assert.Contains(t, result.Stderr, `admission webhook "verified-pods.jupyter-user.io" denied the request: `+field+
				": this is not what the webhook wrote")
		})
	}
	t.Run("a change that is allowed", func(t *testing.T) {
		result := createChanged(t, "defaults-once")
		assert.Zero(t, result.ExitCode, result.Stderr)
	})
	t.Run("without the verifier", func(t *testing.T) {
		admin, err := kubernetes.NewForConfig(c.Admin.Config)
		require.NoError(t, err)
		require.NoError(t, admin.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "jupyter-user-webhook",
			metav1.DeleteOptions{}))
		for does := range fields {
			require.EventuallyWithT(t, func(a *assert.CollectT) {
				assert.Zero(a, createChanged(t, does).ExitCode, does)
			}, wait, wait/100)
		}
	})
}

// TestVerifierCalledOnlyForNotebooks tests that the API server does not call the webhook for a Pod that has no label of
// a notebook, no annotation of the webhook and no container named jupyter-user-init, even if it has the share's claim.
func TestVerifierCalledOnlyForNotebooks(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.namespace(t, "quiet", "baseline")
	share := mayUse()
	share.Resources = []string{"shares"}
	require.NoError(t, c.Allow(t.Context(), "quiet", c.carol, share))
	c.run(t, "quiet", "plain")
	c.run(t, "quiet", "labelled", "--labels=app=x")
	const backup = "{apiVersion: v1, kind: Pod, metadata: {name: backup}, spec: {containers: [{name: b, image: x}], " +
		"volumes: [{name: share, persistentVolumeClaim: {claimName: hpc-shared-pvc}}]}}"
	made := c.create(t, "quiet", backup)
	require.Zero(t, made.ExitCode, made.Stderr)
	assert.Empty(t, c.decisions(t, "quiet"))
}

// TestRolloutOfConfiguration runs two replicas with different configurations at the same time. Each Pod is mutated by one
// replica and verified by the other. If the replicas know each other's address, every Pod is admitted. If not, the verifier
// denies with the reason GenerationUnknown.
func TestRolloutOfConfiguration(t *testing.T) {
	t.Parallel()
	c := startUnserved(t, controlplane.Options{})
	front := &crossed{}
	c.listen(t, c.calledAddress(), front)
	c.namespace(t, "rollout", "baseline")
	before, after := config.Default(), config.Default()
	after.Notebook.Probes.Startup.PeriodSeconds++
	run := func(t *testing.T, mutating int) controlplane.Result {
		front.set(func() { front.mutating = mutating })
		return c.kubectl(t, "run", "nb", "-n", "rollout", "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=alice", "--dry-run=server", "-o", "yaml")
	}

	t.Run("replicas that know of each other", func(t *testing.T) {
		var addresses []string
		for i := range front.replicas {
			address, _ := c.listen(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				front.replica(i).ServeHTTP(w, r)
			}))
			addresses = append(addresses, address)
		}
		front.set(func() {
			front.replicas = [2]http.Handler{c.replica(t, before, addresses...), c.replica(t, after, addresses...)}
		})
		for i, mutating := range []*config.Config{before, after} {
			result := run(t, i)
			require.Zero(t, result.ExitCode, result.Stderr)
			assert.Contains(t, result.Stdout, "jupyter-user.io/config: "+mutating.Generation()+"\n")
		}
		asked := 0
		for _, a := range c.decisions(t, "rollout") {
			if a.Peer != "" {
				asked++
			}
		}
		assert.Equal(t, 2, asked, "each replica asked the other one once")
	})
	t.Run("replicas that do not know of each other", func(t *testing.T) {
		front.set(func() { front.replicas = [2]http.Handler{c.replica(t, before), c.replica(t, after)} })
		for i, mutating := range []*config.Config{before, after} {
			result := run(t, i)
			assert.Equal(t, 1, result.ExitCode)
			assert.Contains(t, result.Stderr, "Error from server (GenerationUnknown): ")
			assert.Contains(t, result.Stderr, "knows configuration "+mutating.Generation())
			assert.Contains(t, result.Stderr, "try again")
		}
	})
}

// crossed sends the mutating review of a Pod to one of two replicas, and the verifying review to the other.
type crossed struct {
	mu       sync.Mutex
	replicas [2]http.Handler
	mutating int
}

func (x *crossed) set(change func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change()
}

func (x *crossed) replica(i int) http.Handler {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.replicas[i]
}

func (x *crossed) mutatingIndex() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mutating
}

func (x *crossed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	index := x.mutatingIndex()
	if r.URL.Path == server.VerifyPath {
		index = 1 - index
	}
	x.replica(index).ServeHTTP(w, r)
}
