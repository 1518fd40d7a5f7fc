package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// deployment is a release with a configuration.
type deployment struct {
	name, image string
	// lab is the configured value of JUPYTER_ENABLE_LAB.
	lab string
}

var (
	current              = deployment{"as shipped", images.Webhook, "yes"}
	before               = deployment{"the release before", images.WebhookBefore, "yes"}
	changedConfiguration = deployment{"another configuration", images.Webhook, "no"}
)

// rolloutLimit is the time limit for replacing two replicas.
const rolloutLimit = 2 * machine.Patience

// short returns the name of the image in the chart.
func short(image string) string { return strings.TrimPrefix(image, "docker.io/library/") }

// values returns the values with which helm upgrade makes this deployment.
func (d deployment) values() string {
	_, tag, _ := strings.Cut(d.image, ":")
	return fmt.Sprintf("image: {tag: %s}\nconfig: {notebook: {env: [{name: JUPYTER_ENABLE_LAB, value: %q}]}}\n", tag, d.lab)
}

// upgradeTo changes the deployment with helm upgrade.
func (o *operations) upgradeTo(t *testing.T, to deployment) {
	from := o.deployed
	require.NoError(t, world.upgrade(t.Context(), to))
	o.deployed = to
	o.recordKnown(t, to.name+", after "+from.name)
	o.awaitResponses(t, admissionsPerSecond)
}

// upgrade runs the commands of the runbook, and waits until both replicas are new. The other installation's namespaces are not
// changed.
func (w *World) upgrade(ctx context.Context, to deployment) error {
	_, err := w.helm.Run(ctx, to.values(), "upgrade", systemName, "../../deploy/chart", "--namespace", systemSpace,
		"--reset-then-reuse-values", "--force-conflicts", "--values", "-")
	if err != nil {
		return err
	}
	if err := w.excludeOther(ctx); err != nil {
		return err
	}
	return w.awaitReplicas(ctx, shipped)
}

// restore restores the webhook for other tests.
func (o *operations) restore(t *testing.T) {
	if o.deployed == current {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), rolloutLimit)
	defer cancel()
	assert.NoError(t, world.upgrade(ctx, current))
}

// replicas returns the replicas that serve, and those that are ending.
func replicas(t *testing.T) (serving, ending []corev1.Pod) {
	t.Helper()
	pods, err := world.Client.CoreV1().Pods(systemSpace).List(t.Context(), metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/name=" + systemName})
	require.NoError(t, err)
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			ending = append(ending, pod)
		} else {
			serving = append(serving, pod)
		}
	}
	return serving, ending
}

// awaitReplica waits until the replicas meet a condition.
func awaitReplica(t *testing.T, what string, condition func(serving, ending []corev1.Pod) bool) {
	t.Helper()
	require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
		return condition(replicas(t)), nil
	}), what)
}

// bothReady reports whether both replicas are ready.
func bothReady(serving, _ []corev1.Pod) bool {
	return len(serving) == 2 && node.IsReady(&serving[0]) && node.IsReady(&serving[1])
}

// awaitDrained waits until all replicas that are ending have ended.
func (o *operations) awaitDrained(t *testing.T) {
	awaitReplica(t, "the drain is over", func(_, ending []corev1.Pod) bool { return len(ending) == 0 })
	o.awaitResponses(t, admissionsPerSecond)
}

// evict evicts both replicas, as draining a node would. The second replica must run until a new replica is ready.
func (o *operations) evict(t *testing.T) {
	serving, _ := replicas(t)
	require.Len(t, serving, 2)
	evict := func(pod corev1.Pod) error {
		return world.Client.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
			SubResource("eviction").MaxRetries(0).Body(&policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}}).
			Do(t.Context()).Error()
	}
	require.NoError(t, evict(serving[0]))
	denied := 0
	require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
		err := evict(serving[1])
		if apierrors.IsTooManyRequests(err) {
			denied++
			assert.ErrorContains(t, err, "Cannot evict pod as it would violate the pod's disruption budget.")
			return false, nil
		}
		return err == nil, err
	}))
	assert.NotZero(t, denied, "the second was evicted before the first was replaced")
	now, _ := replicas(t)
	ready := 0
	for _, pod := range now {
		if node.IsReady(&pod) {
			ready++
		}
	}
	assert.NotZero(t, ready, "no replica served when the second was evicted")
	t.Logf("the second eviction was denied %d times until there was another replica", denied)
	awaitReplica(t, "two serve again", bothReady)
	o.awaitResponses(t, admissionsPerSecond)
}

// kill kills the only process of one replica, without a drain or a notice.
func (o *operations) kill(t *testing.T) {
	serving, _ := replicas(t)
	require.Len(t, serving, 2)
	victim := serving[0]
	serves := func() (found []node.Process) {
		for _, process := range node.Processes(victim.UID) {
			if process.Exe == "/jupyter-user-webhook" {
				found = append(found, process)
			}
		}
		return found
	}
	first := serves()
	require.Len(t, first, 1)
	killed := time.Now()
	require.NoError(t, syscall.Kill(first[0].PID, syscall.SIGKILL))
	require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
		now := serves()
		return len(now) == 1 && now[0].PID != first[0].PID, nil
	}))
	runs := time.Since(killed)
	awaitReplica(t, "the killed one serves again", func(serving, ending []corev1.Pod) bool {
		for _, pod := range serving {
			if pod.UID == victim.UID && pod.Status.ContainerStatuses[0].RestartCount != victim.Status.ContainerStatuses[0].RestartCount+1 {
				return false
			}
		}
		return bothReady(serving, ending)
	})
	o.killed = span{killed, time.Now()}
	o.awaitResponses(t, admissionsPerSecond)
	lost, last := 0, killed
	for _, a := range o.between(killed.Add(-admissionLimit), time.Now()) {
		if a.denied != nil && o.killed.overlaps(a) {
			lost++
			last = a.began.Add(a.took)
		}
	}
	t.Logf("%d lost, the last %s after it was killed; its process was there again after %s, and it was ready after %s", lost,
		last.Sub(killed).Round(time.Millisecond), runs.Round(time.Millisecond), o.killed.to.Sub(killed).Round(time.Millisecond))
}

// authority is the Secret with the CA of the Deployment self-signed.
const authority = systemName + "-self-signed"

// deleteCA deletes the CA. The Deployment that rotates certificates creates another CA, makes the API server trust both, and only
// then issues a certificate of the new CA.
func (o *operations) deleteCA(t *testing.T) {
	kept, err := world.Client.CoreV1().Secrets(systemSpace).Get(t.Context(), authority, metav1.GetOptions{})
	require.NoError(t, err)
	o.authority = kept.Data["ca.crt"]
	require.NoError(t, world.Client.CoreV1().Secrets(systemSpace).Delete(t.Context(), authority, metav1.DeleteOptions{}))
}

// awaitRotated waits until every replica serves a certificate of the new CA.
func (o *operations) awaitRotated(t *testing.T) {
	secrets := world.Client.CoreV1().Secrets(systemSpace)
	var kept *corev1.Secret
	require.NoError(t, await(t.Context(), rolloutLimit, func(ctx context.Context) (bool, error) {
		var err error
		kept, err = secrets.Get(ctx, authority, metav1.GetOptions{})
		if err != nil || len(kept.Data["tls.crt"]) == 0 {
			return false, nil //nolint:nilerr // It is made later.
		}
		mounted, err := secrets.Get(ctx, systemName+"-certs", metav1.GetOptions{})
		return err == nil && bytes.Equal(mounted.Data["tls.crt"], kept.Data["tls.crt"]), err
	}), "the new certificate is there to be mounted")
	require.NotEqual(t, o.authority, kept.Data["ca.crt"])
	serving, _ := replicas(t)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(kept.Data["ca.crt"]))
	for _, pod := range serving {
		// The kubelet reads a Pod's Secrets again once a minute, or when the Pod changes.
		require.NoError(t, world.Admin.Do(t.Context(), "", "annotate", "pod", pod.Name, "-n", pod.Namespace, "e2e/looked-at=now"))
	}
	for _, pod := range serving {
		require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", net.JoinHostPort(pod.Status.PodIP, "9443"),
				&tls.Config{RootCAs: roots, ServerName: systemName + "." + systemSpace + ".svc"})
			if err != nil {
				return false, nil //nolint:nilerr // It still serves the old one.
			}
			return true, conn.Close()
		}), "%s shows the new certificate", pod.Name)
	}
	o.awaitResponses(t, admissionsPerSecond)
}

// restartAPIServer: while the API server is away, creating Pods fails; afterwards it works again.
func (o *operations) restartAPIServer(t *testing.T) {
	o.away.from = time.Now()
	require.NoError(t, world.RestartAPIServer(t.Context()))
	o.away.to = time.Now()
	o.awaitResponses(t, 2*admissionsPerSecond)
}
