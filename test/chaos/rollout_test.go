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

// TestRollingRestarts replaces both replicas over and over as the Deployment does, a new one before an old one, each time by
// one with another configuration, so that pods made by the one are verified by the other. The API server goes on using the
// connections that it has, and the Service learns late.
func TestRollingRestarts(t *testing.T) {
	c := newCluster(t)
	certs := newSecret(t, c.pair(t, time.Hour))
	configurations := []string{configuration(t, "3"), configuration(t, "4")}
	r := rollout{cluster: c, certs: certs}
	for range 2 {
		r.up(t, configurations[0])
	}
	c.untilReady(t, 2)
	c.untilAdmitting(t)

	l := paced(50, c.creating())
	for n := range played.rollouts {
		for range 2 {
			r.up(t, configurations[(n+1)%2])
			c.untilReady(t, 3)
			r.down(t)
			c.untilReady(t, 2)
		}
	}
	for len(r.ending) > 0 {
		r.oneEnds(t)
	}
	o := l.stop()
	o.assertWhole(t)
	if played == long {
		assert.GreaterOrEqual(t, len(o.tries), 5_000)
	}
	report(t, "0 failed of ≥ 5,000 in 20 restarts", "%d restarts of both: %s", played.rollouts, o)
}

// A rollout knows the replicas that are there, the oldest first, and whose place is free next.
type rollout struct {
	*cluster
	certs     *secret
	replicas  []*replica
	endpoints []*endpoint
	count     int
	ending    []*replica
}

func (r *rollout) up(t *testing.T, configuration string) {
	t.Helper()
	// Places are taken in turn: the one before must have left this one.
	if r.count >= len(r.places) {
		r.oneEnds(t)
	}
	at := r.places[r.count%len(r.places)]
	r.count++
	r.replicas = append(r.replicas, r.replica(t, r.certs, at, "--config="+configuration))
	r.endpoints = append(r.endpoints, r.add(at))
}

// oneEnds waits for the one that has been asked to end for longest.
func (r *rollout) oneEnds(t *testing.T) {
	t.Helper()
	r.ending[0].untilEnded(t)
	assert.NoError(t, r.ending[0].ended, r.ending[0])
	r.ending = r.ending[1:]
}

// down ends the oldest as the kubelet does. The Service notices that it is not ready, and its pod is gone with its process.
func (r *rollout) down(t *testing.T) {
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

// configuration is a file in which one number of the probes is another.
func configuration(t *testing.T, period string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"+
		"notebook:\n  probes:\n    startup:\n      periodSeconds: "+period+"\n"), 0o600))
	return file
}
