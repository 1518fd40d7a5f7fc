package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// long reports whether this run is before a release, and takes the whole two minutes.
func long() bool { return os.Getenv("LONG") != "" }

// operations are what an admin and a cluster do to the shipped webhook while notebooks are created.
type operations struct {
	*load
	deployed deployment
	// known has the expected results of an admission, one for each release and configuration. They were recorded while no operation
	// was running.
	known map[string]string
	rows  []string
	// away is the time without an API server. killed is the time from the kill of a replica until it was ready again.
	away, killed span
	// authority is the CA before its rotation.
	authority []byte
	logs      keptLogs
	machine   *machine.Watch
}

type span struct{ from, to time.Time }

// TestOperationsUnderLoad tests that no operation on a webhook with two replicas loses an admission, and every admitted Pod is
// complete. The test disturbs all others, so it runs alone.
func TestOperationsUnderLoad(t *testing.T) {
	o := &operations{load: newLoad(t, atStart.namespace), known: map[string]string{}, machine: machine.WatchDuring(t)}
	o.deployed = current
	o.logs.keep(t)
	t.Cleanup(func() { o.restore(t) })
	o.recordKnown(t, "as shipped")
	o.start(t.Context())
	t.Cleanup(o.end)
	for _, event := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"nothing", func(t *testing.T) { o.awaitResponses(t, 2*admissionsPerSecond) }},
		{"rolling update to the release before", func(t *testing.T) { o.upgradeTo(t, before); o.deleteCA(t) }},
		{"eviction against the disruption budget", o.evict},
		{"one replica killed with SIGKILL", o.kill},
		{"certificate and CA rotated", o.awaitRotated},
		{"rolling update back", func(t *testing.T) { o.upgradeTo(t, current) }},
		{"API server restarted", o.restartAPIServer},
		{"configuration changed", func(t *testing.T) { o.upgradeTo(t, changedConfiguration) }},
		{"nothing, until DNS forgets old responses", o.awaitDNS},
		{"configuration changed back, and the last drain", func(t *testing.T) { o.upgradeTo(t, current); o.awaitDrained(t) }},
	} {
		began := time.Now()
		if !t.Run(event.name, event.do) {
			break
		}
		now := time.Now()
		o.rows = append(o.rows, figures(event.name, now.Sub(began), o.between(began, now)))
	}
	if long() {
		rest := time.Now()
		o.awaitResponses(t, max(0, int(time.Until(o.began.Add(2*time.Minute)).Seconds()*admissionsPerSecond)))
		o.rows = append(o.rows, figures("nothing", time.Since(rest), o.between(rest, time.Now())))
	}
	o.end()
	all := time.Since(o.began)
	o.rows = append(o.rows, figures("all told", all, o.admissions))
	t.Logf("\n%s\n%s", figuresHead, strings.Join(o.rows, "\n"))
	o.assertNoneIsLost(t)
	o.assertWhole(t)
	rate := float64(responses(o.admissions)) / (all - o.away.to.Sub(o.away.from)).Seconds()
	t.Logf("%.0f admissions a second while there was an API server", rate)
	// A busy machine makes fewer admissions. The two minutes are for a machine without other work.
	least := 0.1 * admissionsPerSecond / o.machine.Mean()
	if long() {
		least = 0.98 * admissionsPerSecond
	}
	assert.Greater(t, rate, least, "admissions a second: fewer prove nothing")
}

// awaitDNS waits until replicas can find new replicas by DNS. If another rollout began before that, replicas with different
// configurations would not find each other.
func (o *operations) awaitDNS(t *testing.T) {
	t.Helper()
	o.awaitResponses(t, int(node.NamesKept().Seconds())*admissionsPerSecond)
}

// readingTime is how long an API server may take after its start to read the Services.
const readingTime = 2 * time.Second

// unread reports whether the admission failed because the API server had just started and did not know the webhook's Service yet.
func (o *operations) unread(a admission) bool {
	starting := a.began.After(o.away.from) && a.began.Before(o.away.to.Add(readingTime))
	return starting && a.denied != nil && strings.Contains(a.denied.Error(), `service "jupyter-user-webhook" not found`)
}

// assertNoneIsLost: no admission fails because of the webhook. An error of the webhook contains its name. Errors of an API server
// that is down, stops or has just started do not count. There is one exception: a killed replica loses the reviews that it was
// processing, and those that the API server sends to it before it is removed from the Service.
func (o *operations) assertNoneIsLost(t *testing.T) {
	t.Helper()
	lost, heldUp := map[string]int{}, 0
	for _, a := range o.admissions {
		away := o.away.overlaps(a)
		killed := o.killed.overlaps(a) && a.denied != nil && strings.Contains(a.denied.Error(), "failed calling webhook")
		if !long() && a.late() {
			heldUp++
			continue
		}
		stops := away && a.denied != nil && !strings.Contains(a.denied.Error(), "webhook") || o.unread(a)
		switch {
		case a.denied != nil && !stops && !killed:
			lost[fmt.Sprintf("at %.0f s: %v", a.began.Sub(o.began).Seconds(), a.denied)]++
		case a.away != nil && !away:
			lost[fmt.Sprintf("no response at %.0f s: %v", a.began.Sub(o.began).Seconds(), a.away)]++
		}
	}
	for what, number := range lost {
		t.Errorf("%d lost: %s", number, what)
	}
	// A busy machine may delay everything by the 2 s that the API server waits. The two minutes are for a machine without other
	// work.
	if most := len(o.admissions) / 1000; heldUp > most && o.machine.Slowest() > 2 {
		t.Logf("not judged: %d of %d had no response in time, on a machine up to %.1f times slower than usual", heldUp, len(o.admissions),
			o.machine.Slowest())
	} else {
		assert.LessOrEqual(t, heldUp, most, "had no response in time")
	}
	if t.Failed() {
		t.Log(o.logs.faults())
	}
}

// late reports whether the API server, or a replica that asked the others, gave up waiting.
func (a admission) late() bool {
	return a.denied != nil && (strings.Contains(a.denied.Error(), "context deadline exceeded") ||
		apierrors.ReasonForError(a.denied) == "GenerationUnknown")
}

// overlaps reports whether an admission was running at any time in the span.
func (s span) overlaps(a admission) bool {
	return !a.began.Add(a.took).Before(s.from) && !a.began.After(s.to)
}

// assertWhole asserts that every admitted Pod is one of the known results.
func (o *operations) assertWhole(t *testing.T) {
	t.Helper()
	others := map[string]int{}
	seen := map[string]int{}
	for _, a := range o.admissions {
		switch name, ok := o.known[a.made]; {
		case a.made == "":
		case ok:
			seen[name]++
		default:
			others[a.made]++
		}
	}
	for what, number := range others {
		t.Errorf("%d were admitted as something else: %s", number, what)
	}
	for _, name := range slices.Sorted(maps.Values(o.known)) {
		assert.NotZero(t, seen[name], name)
	}
	t.Log("admitted as it is made by:", seen)
}

// recordKnown creates one Pod and adds the result to the expected results. A replica that is about to end may still decide about
// this Pod.
func (o *operations) recordKnown(t *testing.T, name string) {
	t.Helper()
	var pod *corev1.Pod
	require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
		var err error
		pod, err = o.client.CoreV1().Pods(o.namespace).Create(ctx, loadPod(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && pod.Spec.InitContainers[0].Image == short(o.deployed.image) &&
			slices.Contains(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "JUPYTER_ENABLE_LAB", Value: o.deployed.lab}), err
	}))
	require.Equal(t, "alice", pod.Annotations["jupyter-user.io/user"])
	require.Equal(t, "jupyter-user-init", pod.Spec.InitContainers[0].Name)
	homes := map[string]string{}
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		homes[mount.MountPath] = mount.SubPath
	}
	require.Equal(t, "home/alice", homes["/home/alice"])
	require.Equal(t, "home/alice", homes["/data/hpc/home/alice"])
	o.known[made(pod)] = name
}
