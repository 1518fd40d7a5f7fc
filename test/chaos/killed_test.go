package chaos

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// TestOneOfTwoIsKilled kills a replica under load, which is started again at once where it was, as a container is. What it was
// answering is lost, and so are the requests sent to it meanwhile: those pods are denied, not let through.
func TestOneOfTwoIsKilled(t *testing.T) {
	c := newCluster(t)
	certs := newSecret(t, c.pair(t, time.Hour))
	replicas := c.twoWith(t, certs, certs)

	l := paced(50, c.creating())
	var back, denied time.Duration
	for n := range played.kills {
		one := n % 2
		killed := time.Now()
		replicas[one].kill(t)
		replicas[one] = c.replica(t, certs, c.places[one])
		back = max(back, time.Since(killed))
		// Long enough for the Service to have noticed, had it been away for longer.
		l.untilDone(t, 25, killed.Add(2*played.probe))
		for _, f := range l.since(killed) {
			if f.err != nil {
				denied = max(denied, f.began.Sub(killed))
			}
		}
	}
	o := l.stop()
	o.assertFair(t)
	within(t, o.machine, denied, time.Second, "the last create that was refused, after a kill")
	within(t, o.machine, back, time.Second, "a killed replica to be ready again")
	report(t, "back within 1 s, never an uninjected pod", "%d kills: ready again after %s at most, the last refused create began %s "+
		"after a kill; %s", played.kills, milliseconds(back), milliseconds(denied), o)
}

// TestBothAreDown kills both, and then stops both as a node stops that is gone: nothing answers, and nothing is denied either.
func TestBothAreDown(t *testing.T) {
	c := newCluster(t)
	replicas := c.two(t)
	for _, r := range replicas {
		r.pause(t)
	}
	hung := c.downFor(t, "hang")
	for _, r := range replicas {
		r.signal(t, syscall.SIGCONT)
	}
	resumed := c.untilBack(t)

	for _, r := range replicas {
		r.kill(t)
	}
	dead := c.downFor(t, "are gone")
	certs := newSecret(t, c.pair(t, time.Hour))
	for place := range replicas {
		c.replica(t, certs, c.places[place])
	}
	c.untilBack(t)
	report(t, "labelled pods refused in time, others untouched, ours back by themselves",
		"hanging: refused after %s, others within %s, back %s after they are; killed: refused after %s, others within %s, back with them",
		milliseconds(hung.denied), milliseconds(hung.others), milliseconds(resumed), milliseconds(dead.denied), milliseconds(dead.others))
}

// down is how long requests take while nobody answers.
type down struct{ denied, others time.Duration }

// downFor holds the API server to what it promises with failurePolicy: Fail.
func (c *cluster) downFor(t *testing.T, how string) (d down) {
	t.Helper()
	watch := machine.Start()
	defer watch.Stop()
	began := time.Now()
	_, err := c.create(t.Context(), notebook("alice"))
	d.denied = time.Since(began)
	require.Error(t, err, how)
	assert.Contains(t, err.Error(), `failed calling webhook "pods.jupyter-user.io"`)
	// timeoutSeconds is 2, and KubeSpawner waits for 3 s.
	within(t, watch, d.denied, 3*time.Second, "to be refused while both "+how)
	for range 10 {
		began := time.Now()
		_, err := c.create(t.Context(), plain())
		assert.NoError(t, err, "it is no notebook")
		d.others = max(d.others, time.Since(began))
	}
	within(t, watch, d.others, 2*time.Second, "a Pod that is no notebook, while both "+how)
	return d
}

// untilBack waits until a labelled pod is admitted, and nobody does anything for it.
func (c *cluster) untilBack(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		ctx, cancel := context.WithTimeout(t.Context(), giveUp)
		defer cancel()
		pod, err := c.create(ctx, notebook("alice"), metav1.DryRunAll)
		require.NoError(collect, err)
		require.NoError(collect, injected(pod))
	}, wait, 10*time.Millisecond)
	return time.Since(began)
}
