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

// deployment is a release of the webhook, together with one value of its configuration.
type deployment struct {
	name, image string
	// lab is the configured value of the environment variable JUPYTER_ENABLE_LAB.
	lab string
}

var (
	currentRelease       = deployment{"as shipped", images.Webhook, "yes"}
	previousRelease      = deployment{"the release before", images.WebhookBefore, "yes"}
	changedConfiguration = deployment{"another configuration", images.Webhook, "no"}
)

// rolloutLimit is the time limit for replacing two replicas.
const rolloutLimit = 2 * machine.Patience

// chartImage returns the name of the image as the chart writes it.
func chartImage(image string) string { return strings.TrimPrefix(image, "docker.io/library/") }

// values returns the values of the chart that distinguish this deployment.
func (d deployment) values() string {
	_, tag, _ := strings.Cut(d.image, ":")
	return fmt.Sprintf("image: {tag: %s}\nconfig: {notebook: {env: [{name: JUPYTER_ENABLE_LAB, value: %q}]}}\n", tag, d.lab)
}

// upgradeTo upgrades the webhook to another deployment, and records the result of an admission by the new deployment.
func (o *operations) upgradeTo(t *testing.T, to deployment) {
	from := o.deployed
	require.NoError(t, cluster.upgrade(t.Context(), to))
	o.deployed = to
	o.recordKnown(t, to.name+", after "+from.name)
	o.awaitAdmissions(t, admissionsPerSecond)
}

// upgrade runs the helm upgrade of deploy/docs/runbook.md for the shipped installation, and waits until the rollout is
// complete. The page has no --force-conflicts. upgrade needs this flag, because the changes of excludeOtherNamespaces are
// conflicts for helm. With the flag, helm overwrites these changes, so upgrade calls excludeOtherNamespaces again.
func (c *testCluster) upgrade(ctx context.Context, to deployment) error {
	_, err := c.helm.Run(ctx, to.values(), "upgrade", systemName, "../../deploy/chart", "--namespace", systemNamespace,
		"--reset-then-reuse-values", "--force-conflicts", "--values", "-")
	if err != nil {
		return err
	}
	if err := c.excludeOtherNamespaces(ctx); err != nil {
		return err
	}
	return c.awaitReplicas(ctx, shippedInstallation)
}

// restore deploys the current release again, for the tests that follow.
func (o *operations) restore(t *testing.T) {
	if o.deployed == currentRelease {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), rolloutLimit)
	defer cancel()
	assert.NoError(t, cluster.upgrade(ctx, currentRelease))
}

// replicas returns the replicas of the shipped installation: those that are not being deleted, and those that are.
func replicas(t *testing.T) (serving, ending []corev1.Pod) {
	t.Helper()
	pods, err := cluster.Client.CoreV1().Pods(systemNamespace).List(t.Context(), metav1.ListOptions{
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

// awaitReplicaState waits until the replicas meet a condition.
func awaitReplicaState(t *testing.T, what string, condition func(serving, ending []corev1.Pod) bool) {
	t.Helper()
	require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
		return condition(replicas(t)), nil
	}), what)
}

// bothReady reports whether there are two replicas, and both are ready.
func bothReady(serving, _ []corev1.Pod) bool {
	return len(serving) == 2 && node.IsReady(&serving[0]) && node.IsReady(&serving[1])
}

// awaitDrained waits until the replicas that are being deleted have ended.
func (o *operations) awaitDrained(t *testing.T) {
	awaitReplicaState(t, "the drain is over", func(_, ending []corev1.Pod) bool { return len(ending) == 0 })
	o.awaitAdmissions(t, admissionsPerSecond)
}

// evict evicts both replicas, as kubectl drain would. The second replica must not be evicted before a new replica is ready.
func (o *operations) evict(t *testing.T) {
	serving, _ := replicas(t)
	require.Len(t, serving, 2)
	evict := func(pod corev1.Pod) error {
		return cluster.Client.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
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
	assert.NotZero(t, denied, "the second replica was evicted before the first was replaced")
	now, _ := replicas(t)
	ready := 0
	for _, pod := range now {
		if node.IsReady(&pod) {
			ready++
		}
	}
	assert.NotZero(t, ready, "no replica served when the second was evicted")
	t.Logf("the second eviction was denied %d times until there was another replica", denied)
	awaitReplicaState(t, "two replicas are ready again", bothReady)
	o.awaitAdmissions(t, admissionsPerSecond)
}

// kill kills the process of one replica with SIGKILL, so the replica has no time to drain. The method also records how
// long it takes until the replica is ready again.
func (o *operations) kill(t *testing.T) {
	serving, _ := replicas(t)
	require.Len(t, serving, 2)
	victim := serving[0]
	serverProcesses := func() (found []node.Process) {
		for _, process := range node.Processes(victim.UID) {
			if process.Exe == "/jupyter-user-webhook" {
				found = append(found, process)
			}
		}
		return found
	}
	first := serverProcesses()
	require.Len(t, first, 1)
	killed := time.Now()
	require.NoError(t, syscall.Kill(first[0].PID, syscall.SIGKILL))
	require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
		now := serverProcesses()
		return len(now) == 1 && now[0].PID != first[0].PID, nil
	}))
	runs := time.Since(killed)
	awaitReplicaState(t, "the killed replica is ready again", func(serving, ending []corev1.Pod) bool {
		for _, pod := range serving {
			if pod.UID == victim.UID && pod.Status.ContainerStatuses[0].RestartCount != victim.Status.ContainerStatuses[0].RestartCount+1 {
				return false
			}
		}
		return bothReady(serving, ending)
	})
	o.killed = span{killed, time.Now()}
	o.awaitAdmissions(t, admissionsPerSecond)
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

// caSecret is the name of the Secret in which the Deployment of the same name stores its CA and the certificate of the webhook.
const caSecret = systemName + "-self-signed"

// deleteCA deletes the Secret with the CA. The Deployment jupyter-user-webhook-self-signed then creates another CA, with a
// certificate for the webhook, and makes the API server trust both CAs. Only after that, it writes the certificate to the Secret
// that the replicas mount.
func (o *operations) deleteCA(t *testing.T) {
	kept, err := cluster.Client.CoreV1().Secrets(systemNamespace).Get(t.Context(), caSecret, metav1.GetOptions{})
	require.NoError(t, err)
	o.oldCA = kept.Data["ca.crt"]
	require.NoError(t, cluster.Client.CoreV1().Secrets(systemNamespace).Delete(t.Context(), caSecret, metav1.DeleteOptions{}))
}

// awaitRotated waits until every replica serves a certificate of the new CA.
func (o *operations) awaitRotated(t *testing.T) {
	secrets := cluster.Client.CoreV1().Secrets(systemNamespace)
	var kept *corev1.Secret
	require.NoError(t, await(t.Context(), rolloutLimit, func(ctx context.Context) (bool, error) {
		var err error
		kept, err = secrets.Get(ctx, caSecret, metav1.GetOptions{})
		if err != nil || len(kept.Data["tls.crt"]) == 0 {
			return false, nil //nolint:nilerr // The Secret is made later.
		}
		mounted, err := secrets.Get(ctx, systemName+"-certs", metav1.GetOptions{})
		return err == nil && bytes.Equal(mounted.Data["tls.crt"], kept.Data["tls.crt"]), err
	}), "the Secret that is mounted must get the new certificate")
	require.NotEqual(t, o.oldCA, kept.Data["ca.crt"])
	serving, _ := replicas(t)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(kept.Data["ca.crt"]))
	for _, pod := range serving {
		// The kubelet reads the Secrets of a Pod once a minute, or at once when the Pod changes.
		require.NoError(t, cluster.Admin.Do(t.Context(), "", "annotate", "pod", pod.Name, "-n", pod.Namespace, "e2e/looked-at=now"))
	}
	for _, pod := range serving {
		require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", net.JoinHostPort(pod.Status.PodIP, "9443"),
				&tls.Config{RootCAs: roots, ServerName: systemName + "." + systemNamespace + ".svc"})
			if err != nil {
				return false, nil //nolint:nilerr // The replica still serves the old certificate.
			}
			return true, conn.Close()
		}), "%s shows the new certificate", pod.Name)
	}
	o.awaitAdmissions(t, admissionsPerSecond)
}

// restartAPIServer restarts the API server, and records how long it was down. During this time Pods cannot be created.
func (o *operations) restartAPIServer(t *testing.T) {
	o.apiServerDown.from = time.Now()
	require.NoError(t, cluster.RestartAPIServer(t.Context()))
	o.apiServerDown.to = time.Now()
	o.awaitAdmissions(t, 2*admissionsPerSecond)
}
