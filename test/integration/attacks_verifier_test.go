package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// A verifier holds the handler of the webhook that a test has configured last.
type verifier struct {
	handler atomic.Pointer[http.Handler]
}

func (a attack) byVerifier() bool { return strings.HasPrefix(a.rule, "verifier/") }

// byVerifierOrNet reports whether the attack names a rule of the verifier or of the policy net.jupyter-user.io. The
// verifier denies such attacks without the policies too.
func (a attack) byVerifierOrNet() bool { return a.byVerifier() || strings.HasPrefix(a.rule, "net/") }

// startVerified starts a cluster with the verifier, without the mutating webhook and the policies.
func startVerified(t *testing.T) *guarded {
	t.Helper()
	return startVerifiedWith(t)
}

// startVerifiedWith starts a cluster with the verifier and these policies, without the mutating webhook.
func startVerifiedWith(t *testing.T, policies ...string) *guarded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "verifier.yaml")
	require.NoError(t, os.WriteFile(file, []byte(shipped(t, "51-validatingwebhookconfiguration.yaml")), 0o600))
	g := startGuardedBy(t, controlplane.Options{Policies: policies, Webhooks: []string{file}})
	g.verifier = &verifier{}
	c := &cluster{ControlPlane: g.ControlPlane, log: g.log}
	g.serve(t, config.Default())
	c.listen(t, c.calledAddress(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*g.verifier.handler.Load()).ServeHTTP(w, r) }))
	return g
}

func (g *guarded) serve(t *testing.T, configured *config.Config) {
	t.Helper()
	handler := (&cluster{ControlPlane: g.ControlPlane, log: g.log}).replica(t, configured)
	g.configured = configured
	g.verifier.handler.Store(&handler)
}

// reconfigure changes the verifier's configuration until the test ends. g.configured is the same configuration, for tests
// that inject Pods.
func (g *guarded) reconfigure(t *testing.T, change func(*config.Config)) {
	t.Helper()
	configured := config.Default()
	change(configured)
	g.serve(t, configured)
	t.Cleanup(func() { g.serve(t, config.Default()) })
}

// TestVerifierDeniesAttacks tries the attacks that name a rule of the verifier or of the policy net.jupyter-user.io, on
// a cluster without policies. The verifier denies each attack. After the verifier's ValidatingWebhookConfiguration is
// deleted, each attack succeeds, so nothing else denies it.
func TestVerifierDeniesAttacks(t *testing.T) {
	t.Parallel()
	g := startVerified(t)
	all := attacks()
	for name, a := range all {
		if a.byVerifierOrNet() {
			t.Run(name, func(t *testing.T) {
				assert.ErrorContains(t, a.do(t, g), `admission webhook "verified-pods.jupyter-user.io" denied the request: `)
			})
		}
	}
	require.NoError(t, g.admin(t).AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "jupyter-user-webhook",
		metav1.DeleteOptions{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, all["another UID"].do(t, g)) }, wait, wait/100)
	for name, a := range all {
		if a.byVerifierOrNet() {
			t.Run("without the verifier/"+name, func(t *testing.T) { assert.NoError(t, a.do(t, g)) })
		}
	}
}
