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

// long reports whether LONG is set, as before a release. Then the load lasts at least two minutes, and the limits are
// stricter.
func long() bool { return os.Getenv("LONG") != "" }

// operations does to the shipped webhook what an admin and a cluster do, while a load creates notebooks.
type operations struct {
	*load
	deployed deployment
	// known maps each expected result of injectedPart to a name. recordKnown adds the results.
	known map[string]string
	rows  []string
	// apiServerDown is the time in which the API server was down. killed is the time from the kill of a replica until the
	// replica was ready again.
	apiServerDown, killed span
	// oldCA is the CA before deleteCA.
	oldCA   []byte
	logs    keptLogs
	machine *machine.Watch
}

type span struct{ from, to time.Time }

// TestOperationsUnderLoad tests that operations on a webhook with two replicas lose no admission (assertNoneLost lists the
// exceptions), and that every admitted Pod has everything that the webhook injects. The load uses the whole machine, so the
// test does not run in parallel with other tests.
func TestOperationsUnderLoad(t *testing.T) {
	o := &operations{load: newLoad(t, atStart.namespace), known: map[string]string{}, machine: machine.WatchDuring(t)}
	o.deployed = currentRelease
	o.logs.keep(t)
	t.Cleanup(func() { o.restore(t) })
	o.recordKnown(t, "as shipped")
	o.startLoad(t.Context())
	t.Cleanup(o.stopLoad)
	for _, event := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"nothing", func(t *testing.T) { o.awaitAdmissions(t, 2*admissionsPerSecond) }},
		{"rolling update to the release before", func(t *testing.T) { o.upgradeTo(t, previousRelease); o.deleteCA(t) }},
		{"eviction against the disruption budget", o.evict},
		{"one replica killed with SIGKILL", o.kill},
		{"certificate and CA rotated", o.awaitRotated},
		{"rolling update back", func(t *testing.T) { o.upgradeTo(t, currentRelease) }},
		{"API server restarted", o.restartAPIServer},
		{"configuration changed", func(t *testing.T) { o.upgradeTo(t, changedConfiguration) }},
		{"nothing, until DNS forgets old responses", o.awaitDNS},
		{"configuration changed back, and the last drain", func(t *testing.T) { o.upgradeTo(t, currentRelease); o.awaitDrained(t) }},
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
		o.awaitAdmissions(t, max(0, int(time.Until(o.began.Add(2*time.Minute)).Seconds()*admissionsPerSecond)))
		o.rows = append(o.rows, figures("nothing", time.Since(rest), o.between(rest, time.Now())))
	}
	o.stopLoad()
	all := time.Since(o.began)
	o.rows = append(o.rows, figures("all told", all, o.admissions))
	t.Logf("\n%s\n%s", figuresHead, strings.Join(o.rows, "\n"))
	o.assertNoneLost(t)
	o.assertComplete(t)
	rate := float64(countResponses(o.admissions)) / (all - o.apiServerDown.to.Sub(o.apiServerDown.from)).Seconds()
	t.Logf("%.0f admissions a second while there was an API server", rate)
	// A busy machine makes fewer admissions, so the limit depends on its speed. With LONG the machine must have no other
	// work.
	least := 0.1 * admissionsPerSecond / o.machine.Mean()
	if long() {
		least = 0.98 * admissionsPerSecond
	}
	assert.Greater(t, rate, least, "there must be enough admissions a second")
}

// awaitDNS waits until the replicas can find all other replicas by DNS. If the next rollout began earlier, replicas with
// different configurations would not find each other.
func (o *operations) awaitDNS(t *testing.T) {
	t.Helper()
	o.awaitAdmissions(t, int(node.DNSCacheTime().Seconds())*admissionsPerSecond)
}

// servicesReadLimit is the time that an API server may need after its start to read the Services.
const servicesReadLimit = 2 * time.Second

// serviceUnread reports whether an admission failed because the API server had just started, and did not yet know the
// Service of the webhook.
func (o *operations) serviceUnread(a admission) bool {
	starting := a.began.After(o.apiServerDown.from) && a.began.Before(o.apiServerDown.to.Add(servicesReadLimit))
	return starting && a.denied != nil && strings.Contains(a.denied.Error(), `service "jupyter-user-webhook" not found`)
}

// assertNoneLost asserts that no admission failed because of the webhook. These failures do not count:
//   - Errors of the API server while it is down, stops or has just started. Such an error does not contain the word webhook,
//     or serviceUnread recognizes it.
//   - Failed calls of the webhook, from the kill of a replica until it is ready again. The API server sends reviews to this
//     replica until the Service has removed it.
//   - Without LONG, admissions for which timedOut is true: one of 1,000, or any number if the machine was too slow.
func (o *operations) assertNoneLost(t *testing.T) {
	t.Helper()
	lost, heldUp := map[string]int{}, 0
	for _, a := range o.admissions {
		away := o.apiServerDown.overlaps(a)
		killed := o.killed.overlaps(a) && a.denied != nil && strings.Contains(a.denied.Error(), "failed calling webhook")
		if !long() && a.timedOut() {
			heldUp++
			continue
		}
		stops := away && a.denied != nil && !strings.Contains(a.denied.Error(), "webhook") || o.serviceUnread(a)
		switch {
		case a.denied != nil && !stops && !killed:
			lost[fmt.Sprintf("at %.0f s: %v", a.began.Sub(o.began).Seconds(), a.denied)]++
		case a.noResponse != nil && !away:
			lost[fmt.Sprintf("no response at %.0f s: %v", a.began.Sub(o.began).Seconds(), a.noResponse)]++
		}
	}
	for what, number := range lost {
		t.Errorf("%d lost: %s", number, what)
	}
	// On a machine that was more than twice as slow as usual, reviews can take longer than the 2 s that the API server
	// waits.
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

// timedOut reports whether an admission was denied because the API server gave up waiting for the webhook, or with the
// reason GenerationUnknown: usually the other replicas did not respond in time.
func (a admission) timedOut() bool {
	return a.denied != nil && (strings.Contains(a.denied.Error(), "context deadline exceeded") ||
		apierrors.ReasonForError(a.denied) == "GenerationUnknown")
}

func (s span) overlaps(a admission) bool {
	return !a.began.Add(a.took).Before(s.from) && !a.began.After(s.to)
}

// assertComplete asserts that every admitted Pod has one of the known results, and that every known result occurs.
func (o *operations) assertComplete(t *testing.T) {
	t.Helper()
	unknown := map[string]int{}
	seen := map[string]int{}
	for _, a := range o.admissions {
		switch name, ok := o.known[a.injected]; {
		case a.injected == "":
		case ok:
			seen[name]++
		default:
			unknown[a.injected]++
		}
	}
	for what, number := range unknown {
		t.Errorf("%d were admitted as something else: %s", number, what)
	}
	for _, name := range slices.Sorted(maps.Values(o.known)) {
		assert.NotZero(t, seen[name], name)
	}
	t.Log("admitted as it is made by:", seen)
}

// recordKnown creates Pods in dry runs until the current deployment has decided about one of them, and adds this Pod to the
// known results. A replica of the previous deployment that is about to end can still decide about the first Pods.
func (o *operations) recordKnown(t *testing.T, name string) {
	t.Helper()
	var pod *corev1.Pod
	require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
		var err error
		pod, err = o.client.CoreV1().Pods(o.namespace).Create(ctx, loadPod(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && pod.Spec.InitContainers[0].Image == chartImage(o.deployed.image) &&
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
	o.known[injectedPart(pod)] = name
}
