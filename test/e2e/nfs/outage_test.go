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

// outage is how long the server is gone: before a release, for as long as the alert needs.
func outage() time.Duration {
	if release() {
		return alertNeeds
	}
	return 30 * time.Second
}

const (
	// responseLimit is what an answer of the webhook may take while the share hangs.
	responseLimit = time.Second
	// backLimit is how long after the server came back somebody may still be denied.
	backLimit = 5 * time.Second
	// tooSlow is how many times slower than usual a machine is that may keep the API server from hearing the webhook in its time.
	tooSlow = 4
	// pause is between two questions.
	pause = time.Second
)

// goesOn is the command of a pod that writes numbers into a file, each of them to the server's disk before the next.
var goesOn = []string{"--command", "--", "sh", "-c",
	"python3 -c '\nimport os, time\nn, f = 0, open(\"numbers\", \"w\")\nwhile True:\n" +
		"  n += 1; f.write(f\"{n}\\n\"); f.flush(); os.fsync(f.fileno()); time.sleep(0.1)\n' & exec hello"}

// outages are how many this run has had: each is about a stranger whom nobody has asked about before.
var outages int

// TestTheServerGoesAway for a while, and comes back.
func TestTheServerGoesAway(t *testing.T) {
	needNFS(t)
	writer := run(t, start3, "writer", "frank", goesOn...)
	leaver := run(t, start4, "leaver", "grace", writes...)
	for _, p := range []pod{writer, leaver} {
		p.ready(t)
	}
	ask := asking(t)
	require.Less(t, outages, strangers)
	unknown, id := strangersName(outages), strangersID(outages)
	outages++
	makeHome(t, fmt.Sprintf("mkdir $1; chown %d:%d $1; chmod 0700 $1", id, id), "/srv/hpc/home/"+unknown)
	recorded := record(t)
	require.NoError(t, ask.try(t.Context(), "heidi"), "known before the server goes away")

	setServer(t, "down")
	gone := time.Now()
	before := numbers(t)
	comer := run(t, start3, "comer", "ivan", writes...)
	require.NoError(t, world.Client.CoreV1().Pods(leaver.namespace).Delete(t.Context(), leaver.name, metav1.DeleteOptions{}))
	judged := 0
	for time.Since(gone) < outage() || judged == 0 && time.Since(gone) < machine.Patience+outage() {
		require.NoError(t, ask.try(t.Context(), "heidi"), "known, and admitted by what is remembered")
		err := ask.try(t.Context(), unknown)
		require.Error(t, err, "what the webhook cannot know")
		if strings.Contains(err.Error(), "failed calling webhook") && ask.watch.Slowest() > tooSlow {
			t.Logf("not judged: %v, on a machine that was %.1f times slower than usual", err, ask.watch.Slowest())
			continue
		}
		judged++
		require.Equal(t, metav1.StatusReason("IdentitySilent"), apierrors.ReasonForError(err), err.Error())
		require.ErrorContains(t, err, "the identity of "+unknown+" cannot be looked up at the moment")
		let(t, pause)
	}
	assert.NotZero(t, judged, "the API server has not reached the webhook once")
	assertServes(t)
	assert.False(t, node.IsReady(comer.get(t)), "it cannot have seen its home")
	assert.Less(t, numbers(t)-before, 10, "the writer waits")

	setServer(t, "up")
	back := time.Now()
	require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
		return ask.try(ctx, unknown) == nil, nil
	}))
	known := time.Now()
	ask.watch.Within(t, known.Sub(back), backLimit, "to know everybody again")

	comer.ready(t)
	saysWho(t, comer, homeOf("ivan"))
	assert.NoError(t, leaver.remove(t.Context()), "the deletion ends")
	mark := numbers(t)
	require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) { return numbers(t) > mark+10, nil }),
		"the writer goes on")
	assert.Zero(t, writer.ready(t).Status.ContainerStatuses[0].RestartCount, "no probe has ended the writer")
	recorded.judge(t, gone, back, known)
}

// setServer takes the link of the server down, so that nothing answers, or up again.
func setServer(t *testing.T, state string) {
	t.Helper()
	set := func(ctx context.Context, state string) error {
		_, err := world.nfs.Must(ctx, "ip", "-n", "srv", "link", "set", "server", state)
		return err
	}
	require.NoError(t, set(t.Context(), state))
	if state == "down" {
		// Whatever fails meanwhile, other tests have their server.
		t.Cleanup(func() { assert.NoError(t, set(context.WithoutCancel(t.Context()), "up")) })
	}
}

// numbers returns how many numbers the writer has written, as the server's own disk has them, and holds them to being all of them.
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

// assertServes holds the webhook that mounts the share to being ready, and never having been restarted.
func assertServes(t *testing.T) {
	t.Helper()
	pods, err := world.Client.CoreV1().Pods(knowing).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	assert.True(t, node.IsReady(&pods.Items[0]))
	assert.Zero(t, pods.Items[0].Status.ContainerStatuses[0].RestartCount)
}

// A question is what becomes of a pod of somebody's, in a dry run, where the webhook mounts the share.
type question struct {
	t      *testing.T
	client *kubernetes.Clientset
	watch  *machine.Watch
}

func asking(t *testing.T) question {
	t.Helper()
	client, err := kubernetes.NewForConfig(world.carol.Config)
	require.NoError(t, err)
	return question{t, client, machine.For(t)}
}

// try returns why the pod is denied, and holds the answer to its time.
func (q question) try(ctx context.Context, user string) error {
	q.t.Helper()
	asked := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "asked-", Labels: map[string]string{"jupyter-user": user}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: images.Plain}}},
	}
	began := time.Now()
	_, err := q.client.CoreV1().Pods(admission3.name).Create(ctx, asked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	q.watch.Within(q.t, time.Since(began), responseLimit, "an answer about "+user)
	return err
}

// let lets a time pass, where what happens in it is what a test is about.
func let(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
