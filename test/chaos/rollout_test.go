package chaos

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRollingRestarts replaces both replicas several times, as the Deployment does: each new replica starts before an old
// one ends. The rollouts alternate between two configurations, so that replicas also verify Pods that were injected with
// another configuration than their own. The API server keeps its connections to an old replica, and the Service learns late
// that the replica ends.
func TestRollingRestarts(t *testing.T) {
	c := newCluster(t)
	certs := newSecret(t, c.issue(t, time.Hour))
	configurations := []string{configuration(t, "3"), configuration(t, "4")}
	r := rollout{cluster: c, certs: certs}
	for range 2 {
		r.startReplica(t, configurations[0])
	}
	c.untilReady(t, 2)
	c.untilAdmitting(t)

	l := startLoad(50, c.creating())
	for n := range chosenForm.rollouts {
		for range 2 {
			r.startReplica(t, configurations[(n+1)%2])
			c.untilReady(t, 3)
			r.stopOldest(t)
			c.untilReady(t, 2)
		}
	}
	for len(r.ending) > 0 {
		r.awaitFirstEnd(t)
	}
	o := l.stop()
	o.assertWhole(t)
	if chosenForm == long {
		assert.GreaterOrEqual(t, len(o.tries), 5_000)
	}
	report(t, "0 failed of ≥ 5,000 in 20 restarts", "%d restarts of both: %s", chosenForm.rollouts, o)
}

// A rollout has the running replicas and the ending replicas, both in the order of their start.
type rollout struct {
	*cluster
	certs     *secret
	replicas  []*replica
	endpoints []*endpoint
	count     int
	ending    []*replica
}

func (r *rollout) startReplica(t *testing.T, configuration string) {
	t.Helper()
	// The addresses are used in turn. Before an address is used again, the replica that had the address must have ended.
	if r.count >= len(r.addresses) {
		r.awaitFirstEnd(t)
	}
	at := r.addresses[r.count%len(r.addresses)]
	r.count++
	r.replicas = append(r.replicas, r.replica(t, r.certs, at, "--config="+configuration))
	r.endpoints = append(r.endpoints, r.add(at))
}

// awaitFirstEnd waits until the first of the ending replicas has ended.
func (r *rollout) awaitFirstEnd(t *testing.T) {
	t.Helper()
	r.ending[0].untilEnded(t)
	assert.NoError(t, r.ending[0].ended, r.ending[0])
	r.ending = r.ending[1:]
}

// stopOldest sends SIGTERM to the oldest replica, as the kubelet does. The endpoint of the replica is removed when its
// process has ended.
func (r *rollout) stopOldest(t *testing.T) {
	t.Helper()
	oldest, endpoint := r.replicas[0], r.endpoints[0]
	r.replicas, r.endpoints = r.replicas[1:], r.endpoints[1:]
	r.ending = append(r.ending, oldest)
	oldest.signal(t, syscall.SIGTERM)
	go func() {
		<-oldest.done
		r.remove(endpoint)
	}()
}

// configuration writes a configuration file with this period of the startup probe, in seconds, and returns its path.
func configuration(t *testing.T, period string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"+
		"notebook:\n  probes:\n    startup:\n      periodSeconds: "+period+"\n"), 0o600))
	return file
}
