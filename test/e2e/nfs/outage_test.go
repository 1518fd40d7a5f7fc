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

// outage returns for how long the NFS server is unreachable. Before a release, this time is long enough for the alert.
func outage() time.Duration {
	if release() {
		return alertOutage
	}
	return 30 * time.Second
}

const (
	responseLimit = time.Second
	// recoveryLimit is how long users may still be denied after the server responds again.
	recoveryLimit = 5 * time.Second
	// maxSlowness is how many times slower than usual the machine may be. If the machine was slower at any time,
	// TestServerOutage tolerates failed calls of the webhook for the user whom the webhook has never looked up.
	maxSlowness = 4
	pause       = time.Second
)

// writeNumbersCommand has the last arguments of a kubectl run: a command that runs the small server, and in the background
// writes numbers into a file. It syncs each number to the server's disk before it writes the next number.
var writeNumbersCommand = []string{"--command", "--", "sh", "-c",
	"python3 -c '\nimport os, time\nn, f = 0, open(\"numbers\", \"w\")\nwhile True:\n" +
		"  n += 1; f.write(f\"{n}\\n\"); f.flush(); os.fsync(f.fileno()); time.sleep(0.1)\n' & exec hello"}

// outages is the number of outages so far in this run. Each outage uses another user (see outageUserName).
var outages int

// TestServerOutage takes the network link of the NFS server down for a while. During the outage the webhook stays ready.
// From its cache it admits a user whom it has looked up before, and it denies any other user with IdentitySilent within
// responseLimit. After the outage all users are admitted, a notebook that was writing has lost nothing, a notebook that was
// created during the outage starts, and a notebook that was deleted ends. The shipped alert fires.
func TestServerOutage(t *testing.T) {
	needNFS(t)
	writer := run(t, start3, "writer", "frank", writeNumbersCommand...)
	deleted := run(t, start4, "deleted", "grace", writeFileCommand...)
	for _, p := range []pod{writer, deleted} {
		p.ready(t)
	}
	dryRun := newDryRunner(t)
	require.Less(t, outages, outageUserCount)
	unknown, id := outageUserName(outages), outageUserID(outages)
	outages++
	makeHome(t, fmt.Sprintf("mkdir $1; chown %d:%d $1; chmod 0700 $1", id, id), "/srv/hpc/home/"+unknown)
	recorded := record(t)
	require.NoError(t, dryRun.create(t.Context(), "heidi"), "this user must be admitted before the outage")

	setServerLink(t, "down")
	gone := time.Now()
	before := numbers(t)
	newcomer := run(t, start3, "newcomer", "ivan", writeFileCommand...)
	require.NoError(t, cluster.Client.CoreV1().Pods(deleted.namespace).Delete(t.Context(), deleted.name, metav1.DeleteOptions{}))
	denials := 0
	for time.Since(gone) < outage() || denials == 0 && time.Since(gone) < machine.Patience+outage() {
		require.NoError(t, dryRun.create(t.Context(), "heidi"), "this user must be admitted from the cache")
		err := dryRun.create(t.Context(), unknown)
		require.Error(t, err, "the webhook has never looked up this user")
		if strings.Contains(err.Error(), "failed calling webhook") && dryRun.watch.Slowest() > maxSlowness {
			t.Logf("not judged: %v, on a machine that was %.1f times slower than usual", err, dryRun.watch.Slowest())
			continue
		}
		denials++
		require.Equal(t, metav1.StatusReason("IdentitySilent"), apierrors.ReasonForError(err), err.Error())
		require.ErrorContains(t, err, "the identity of "+unknown+" cannot be looked up at the moment")
		sleep(t, pause)
	}
	assert.NotZero(t, denials, "the API server has not reached the webhook once")
	assertReady(t)
	assert.False(t, node.IsReady(newcomer.get(t)), "the home cannot be mounted yet")
	assert.Less(t, numbers(t)-before, 10, "the writer waits")

	setServerLink(t, "up")
	back := time.Now()
	require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
		return dryRun.create(ctx, unknown) == nil, nil
	}))
	known := time.Now()
	dryRun.watch.Within(t, known.Sub(back), recoveryLimit, "to know all users again")

	newcomer.ready(t)
	assertOwnerServes(t, newcomer, homeOf("ivan"))
	assert.NoError(t, deleted.remove(t.Context()), "the deletion ends")
	mark := numbers(t)
	require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) { return numbers(t) > mark+10, nil }),
		"the writer continues")
	assert.Zero(t, writer.ready(t).Status.ContainerStatuses[0].RestartCount, "no probe has ended the writer")
	recorded.assertAlert(t, gone, back, known)
}

// setServerLink takes the network link of the NFS server down or up.
func setServerLink(t *testing.T, state string) {
	t.Helper()
	set := func(ctx context.Context, state string) error {
		_, err := cluster.server.Must(ctx, "ip", "-n", "srv", "link", "set", "server", state)
		return err
	}
	require.NoError(t, set(t.Context(), state))
	if state == "down" {
		// Later tests need the server, even if this test fails while the server is down.
		t.Cleanup(func() { assert.NoError(t, set(context.WithoutCancel(t.Context()), "up")) })
	}
}

// numbers returns how many numbers are on the server's disk, and asserts that none is missing.
func numbers(t *testing.T) int {
	t.Helper()
	output, err := cluster.server.Must(t.Context(), "cat", "/srv/hpc/home/frank/numbers")
	require.NoError(t, err)
	lines := strings.Fields(output)
	for i, line := range lines {
		if line != strconv.Itoa(i+1) {
			require.Failf(t, "a number is lost", "line %d is %q", i+1, line)
		}
	}
	return len(lines)
}

// assertReady asserts that the webhook of the second installation is ready, and was never restarted.
func assertReady(t *testing.T) {
	t.Helper()
	pods, err := cluster.Client.CoreV1().Pods(secondName).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	assert.True(t, node.IsReady(&pods.Items[0]))
	assert.Zero(t, pods.Items[0].Status.ContainerStatuses[0].RestartCount)
}

// dryRunner creates Pods in dry runs, in a namespace of the second installation. Its webhook looks up the user of each Pod.
type dryRunner struct {
	t      *testing.T
	client *kubernetes.Clientset
	watch  *machine.Watch
}

func newDryRunner(t *testing.T) dryRunner {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.carol.Config)
	require.NoError(t, err)
	return dryRunner{t, client, machine.WatchDuring(t)}
}

// create creates a Pod of a user in a dry run, and returns the error of the API server. It asserts that the response comes
// within responseLimit.
func (d dryRunner) create(ctx context.Context, user string) error {
	d.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "asked-", Labels: map[string]string{"jupyter-user": user}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: images.Plain}}},
	}
	began := time.Now()
	_, err := d.client.CoreV1().Pods(admission3.name).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	d.watch.Within(d.t, time.Since(began), responseLimit, "a response about "+user)
	return err
}

func sleep(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
