package nfs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// outage returns how long the NFS server is down. Before a release, this is as long as the alert needs to fire.
func outage() time.Duration {
	if release() {
		return alertNeeds
	}
	return 30 * time.Second
}

const (
	// responseLimit is the time limit for a response of the webhook while the share hangs.
	responseLimit = time.Second
	// backLimit is how long users may still be denied after the server responds again.
	backLimit = 5 * time.Second
	// tooSlow is a factor. If the machine is so many times slower than usual, a timeout of the API server does not fail the test.
	tooSlow = 4
	// pause is the time between two dry runs.
	pause = time.Second
)

// writesNumbers is the command of a Pod. It writes numbers into a file, and syncs each number to the server's disk before it
// writes the next.
var writesNumbers = []string{"--command", "--", "sh", "-c",
	"python3 -c '\nimport os, time\nn, f = 0, open(\"numbers\", \"w\")\nwhile True:\n" +
		"  n += 1; f.write(f\"{n}\\n\"); f.flush(); os.fsync(f.fileno()); time.sleep(0.1)\n' & exec hello"}

// outages counts the outages of this run. Each uses a new user of askedOnce, about whom no replica was asked before.
var outages int

// TestTheServerGoesAway takes the network link of the NFS server down for a while, and up again.
func TestTheServerGoesAway(t *testing.T) {
	needNFS(t)
	writer := run(t, start3, "writer", "frank", writesNumbers...)
	leaver := run(t, start4, "leaver", "grace", writesFile...)
	for _, p := range []pod{writer, leaver} {
		p.ready(t)
	}
	ask := asking(t)
	require.Less(t, outages, askedOnce)
	unknown, id := askedOnceName(outages), askedOnceID(outages)
	outages++
	makeHome(t, fmt.Sprintf("mkdir $1; chown %d:%d $1; chmod 0700 $1", id, id), "/srv/hpc/home/"+unknown)
	recorded := record(t)
	require.NoError(t, ask.try(t.Context(), "heidi"), "known before the outage")

	setServer(t, "down")
	gone := time.Now()
	before := numbers(t)
	comer := run(t, start3, "comer", "ivan", writesFile...)
	require.NoError(t, world.Client.CoreV1().Pods(leaver.namespace).Delete(t.Context(), leaver.name, metav1.DeleteOptions{}))
	judged := 0
	for time.Since(gone) < outage() || judged == 0 && time.Since(gone) < machine.Patience+outage() {
		require.NoError(t, ask.try(t.Context(), "heidi"), "known, and admitted from the cache")
		err := ask.try(t.Context(), unknown)
		require.Error(t, err, "the webhook cannot know this user")
		if strings.Contains(err.Error(), "failed calling webhook") && ask.watch.Slowest() > tooSlow {
			t.Logf("not judged: %v, on a machine that was %.1f times slower than usual", err, ask.watch.Slowest())
			continue
		}
		judged++
		require.Equal(t, metav1.StatusReason("IdentitySilent"), apierrors.ReasonForError(err), err.Error())
		require.ErrorContains(t, err, "the identity of "+unknown+" cannot be looked up at the moment")
		sleep(t, pause)
	}
	assert.NotZero(t, judged, "the API server has not reached the webhook once")
	assertServes(t)
	assert.False(t, node.IsReady(comer.get(t)), "the home cannot be mounted yet")
	assert.Less(t, numbers(t)-before, 10, "the writer waits")

	setServer(t, "up")
	back := time.Now()
	require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
		return ask.try(ctx, unknown) == nil, nil
	}))
	known := time.Now()
	ask.watch.Within(t, known.Sub(back), backLimit, "to know all users again")

	comer.ready(t)
	assertOwnerServes(t, comer, homeOf("ivan"))
	assert.NoError(t, leaver.remove(t.Context()), "the deletion ends")
	mark := numbers(t)
	require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) { return numbers(t) > mark+10, nil }),
		"the writer continues")
	assert.Zero(t, writer.ready(t).Status.ContainerStatuses[0].RestartCount, "no probe has ended the writer")
	recorded.assertAlert(t, gone, back, known)
}

// setServer takes the server's network link down or up.
func setServer(t *testing.T, state string) {
	t.Helper()
	set := func(ctx context.Context, state string) error {
		_, err := world.nfs.Must(ctx, "ip", "-n", "srv", "link", "set", "server", state)
		return err
	}
	require.NoError(t, set(t.Context(), state))
	if state == "down" {
		// If the test fails while the server is down, later tests still need the server.
		t.Cleanup(func() { assert.NoError(t, set(context.WithoutCancel(t.Context()), "up")) })
	}
}

// numbers returns how many numbers are on the server's disk, and asserts that none is missing.
func numbers(t *testing.T) int {
	t.Helper()
	said, err := world.nfs.Must(t.Context(), "cat", "/srv/hpc/home/frank/numbers")
	require.NoError(t, err)
	lines := strings.Fields(said)
	for i, line := range lines {
		if line != strconv.Itoa(i+1) {
			require.Failf(t, "a number is lost", "line %d is %q", i+1, line)
		}
	}
	return len(lines)
}

// assertServes asserts that the webhook that mounts the share is ready, and was never restarted.
func assertServes(t *testing.T) {
	t.Helper()
	pods, err := world.Client.CoreV1().Pods(secondName).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	assert.True(t, node.IsReady(&pods.Items[0]))
	assert.Zero(t, pods.Items[0].Status.ContainerStatuses[0].RestartCount)
}

// question creates Pods in dry runs, in a namespace of the webhook that mounts the share. So the webhook looks up the user of
// each Pod.
type question struct {
	t      *testing.T
	client *kubernetes.Clientset
	watch  *machine.Watch
}

func asking(t *testing.T) question {
	t.Helper()
	client, err := kubernetes.NewForConfig(world.carol.Config)
	require.NoError(t, err)
	return question{t, client, machine.WatchDuring(t)}
}

// try creates a Pod of a user. It returns the error if the Pod is denied, and asserts the time limit of the response.
func (q question) try(ctx context.Context, user string) error {
	q.t.Helper()
	asked := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "asked-", Labels: map[string]string{"jupyter-user": user}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: images.Plain}}},
	}
	began := time.Now()
	_, err := q.client.CoreV1().Pods(admission3.name).Create(ctx, asked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	q.watch.Within(q.t, time.Since(began), responseLimit, "a response about "+user)
	return err
}

// sleep waits for a time, or until the test ends.
func sleep(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
