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

// TestReplicaKilled kills one of two replicas under load and, as the kubelet does, starts it again immediately at the same
// address. The reviews that the replica was processing are lost. Reviews that the API server sends to the replica's
// address before the new process listens are lost too. The API server denies the Pods of these reviews.
func TestReplicaKilled(t *testing.T) {
	c := newCluster(t)
	certs := newSecret(t, c.issue(t, time.Hour))
	replicas := c.startTwoWith(t, certs, certs)

	l := startLoad(50, c.creating())
	var back, denied time.Duration
	for n := range chosenForm.kills {
		one := n % 2
		killed := time.Now()
		replicas[one].kill(t)
		replicas[one] = c.replica(t, certs, c.addresses[one])
		back = max(back, time.Since(killed))
		// The load goes on for longer than the Service needs to notice a missing replica.
		l.untilDone(t, 25, killed.Add(2*chosenForm.probe))
		for _, f := range l.since(killed) {
			if f.err != nil {
				denied = max(denied, f.began.Sub(killed))
			}
		}
	}
	o := l.stop()
	o.assertNoViolation(t)
	within(t, o.machine, denied, time.Second, "the last denied create after a kill")
	within(t, o.machine, back, time.Second, "the restart of a killed replica")
	report(t, "ready within 1 s, no Pod without injection", "%d kills: ready after %s at most, the last denied create began %s "+
		"after a kill; %s", chosenForm.kills, milliseconds(back), milliseconds(denied), o)
}

// TestBothReplicasAreDown suspends both replicas, so that connections stay open without a response, as on a lost node.
// Then the test resumes both replicas, and kills them.
func TestBothReplicasAreDown(t *testing.T) {
	c := newCluster(t)
	replicas := c.startTwo(t)
	for _, r := range replicas {
		r.pause(t)
	}
	hung := c.testFailurePolicy(t, "hang")
	for _, r := range replicas {
		r.signal(t, syscall.SIGCONT)
	}
	resumed := c.awaitAdmission(t)

	for _, r := range replicas {
		r.kill(t)
	}
	dead := c.testFailurePolicy(t, "are gone")
	certs := newSecret(t, c.issue(t, time.Hour))
	for i := range replicas {
		c.replica(t, certs, c.addresses[i])
	}
	c.awaitAdmission(t)
	report(t, "labelled Pods denied in time, other Pods admitted, notebooks admitted again afterwards",
		"suspended: denied after %s, other Pods within %s, admitted %s after the end; killed: denied after %s, other Pods within %s",
		milliseconds(hung.denied), milliseconds(hung.others), milliseconds(resumed), milliseconds(dead.denied), milliseconds(dead.others))
}

// slowest has times of creations while no replica responds: denied is the time after which a notebook is denied, and
// others is the longest time of a Pod that is no notebook.
type slowest struct{ denied, others time.Duration }

// testFailurePolicy tests the response time and the result of creations while no replica responds. A notebook is denied
// because of failurePolicy: Fail, and other Pods are admitted.
func (c *cluster) testFailurePolicy(t *testing.T, state string) (d slowest) {
	t.Helper()
	watch := machine.Start()
	defer watch.Stop()
	began := time.Now()
	_, err := c.create(t.Context(), notebook("alice"))
	d.denied = time.Since(began)
	require.Error(t, err, state)
	assert.Contains(t, err.Error(), `failed calling webhook "pods.jupyter-user.io"`)
	// timeoutSeconds is 2, and KubeSpawner waits for 3 s.
	within(t, watch, d.denied, 3*time.Second, "the denial while both replicas "+state)
	for range 10 {
		began := time.Now()
		_, err := c.create(t.Context(), plainPod())
		assert.NoError(t, err, "a Pod that is no notebook is admitted")
		d.others = max(d.others, time.Since(began))
	}
	within(t, watch, d.others, 2*time.Second, "a Pod that is no notebook, while both replicas "+state)
	return d
}

// awaitAdmission waits until a notebook is admitted, and returns the time that it has waited.
func (c *cluster) awaitAdmission(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		ctx, cancel := context.WithTimeout(t.Context(), sendTimeout)
		defer cancel()
		pod, err := c.create(ctx, notebook("alice"), metav1.DryRunAll)
		require.NoError(collect, err)
		require.NoError(collect, checkInjected(pod))
	}, wait, 10*time.Millisecond)
	return time.Since(began)
}
