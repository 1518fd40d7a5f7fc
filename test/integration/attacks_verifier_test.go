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

// A verifier serves the shipped verifier. Its configuration can be exchanged.
type verifier struct {
	handler atomic.Pointer[http.Handler]
}

// ofVerifier reports whether the verifier alone denies an attack.
func (a attack) ofVerifier() bool { return strings.HasPrefix(a.rule, "verifier/") }

// ofVerifierOrNet reports whether the verifier denies an attack, alone or together with the policy net.
func (a attack) ofVerifierOrNet() bool { return a.ofVerifier() || strings.HasPrefix(a.rule, "net/") }

// startVerified starts a cluster with the verifier, without the mutating webhook and the policies.
func startVerified(t *testing.T) *guarded {
	t.Helper()
	return startVerifiedBeside(t)
}

// startVerifiedBeside starts a cluster with the verifier and policies.
func startVerifiedBeside(t *testing.T, policies ...string) *guarded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "verifier.yaml")
	require.NoError(t, os.WriteFile(file, []byte(shipped(t, "51-validatingwebhookconfiguration.yaml")), 0o600))
	g := startGuardedBy(t, controlplane.Options{Policies: policies, Webhooks: []string{file}})
	g.verifier = &verifier{}
	c := &cluster{ControlPlane: g.ControlPlane, log: g.log}
	g.serve(t, config.Default())
	c.listen(t, c.called(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*g.verifier.handler.Load()).ServeHTTP(w, r) }))
	return g
}

func (g *guarded) serve(t *testing.T, configured *config.Config) {
	t.Helper()
	handler := (&cluster{ControlPlane: g.ControlPlane, log: g.log}).replica(t, configured)
	g.serves = configured
	g.verifier.handler.Store(&handler)
}

// serving changes the configuration until the test ends, also that of the verifier if there is one.
func (g *guarded) serving(t *testing.T, change func(*config.Config)) {
	t.Helper()
	configured := config.Default()
	change(configured)
	g.serve(t, configured)
	t.Cleanup(func() { g.serve(t, config.Default()) })
}

// TestTheVerifierSaysWhatANotebookIs tries all attacks on the fields of a notebook without policies. The verifier denies each. Without the
// verifier's webhook configuration each attack succeeds, which shows that nothing else denies it.
func TestTheVerifierSaysWhatANotebookIs(t *testing.T) {
	t.Parallel()
	g := startVerified(t)
	all := attacks()
	for name, a := range all {
		if a.ofVerifierOrNet() {
			t.Run(name, func(t *testing.T) {
				assert.ErrorContains(t, a.do(t, g), `admission webhook "verified-pods.jupyter-user.io" denied the request: `)
			})
		}
	}
	require.NoError(t, g.admin(t).AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "jupyter-user-webhook",
		metav1.DeleteOptions{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, all["another UID"].do(t, g)) }, wait, wait/100)
	for name, a := range all {
		if a.ofVerifierOrNet() {
			t.Run("without the verifier/"+name, func(t *testing.T) { assert.NoError(t, a.do(t, g)) })
		}
	}
}
