package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
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
	"k8s.io/apimachinery/pkg/types"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// A deployment is a release with a configuration.
type deployment struct {
	name, image string
	// lab is what the configuration says of JUPYTER_ENABLE_LAB.
	lab string
}

var (
	current              = deployment{"as shipped", images.Webhook, "yes"}
	before               = deployment{"the release before", images.WebhookBefore, "yes"}
	changedConfiguration = deployment{"another configuration", images.Webhook, "no"}
)

// rolloutLimit is what two replicas may take to be replaced.
const rolloutLimit = 2 * time.Minute

// short is the image as deploy/ has it.
func short(image string) string { return strings.TrimPrefix(image, "docker.io/library/") }

// roll goes from what is deployed to something else, as an admin does: the policies and the configuration accept the images of
// both, and the Deployment comes last.
func (o *operations) roll(t *testing.T, to deployment) {
	from := o.deployed
	settings, err := configMap()
	require.NoError(t, err)
	accepted := ""
	if from.image != to.image {
		accepted = "      acceptedImages: [" + short(from.image) + "]\n"
	}
	settings = strings.NewReplacer("image: "+short(current.image)+"\n", "image: "+short(to.image)+"\n"+accepted,
		"    notebook:\n", "    notebook:\n      env: [{name: JUPYTER_ENABLE_LAB, value: \""+to.lab+"\"}]\n").Replace(settings)
	deployment, err := manifest("30-deployment.yaml", "image: "+short(current.image), "image: "+short(to.image))
	require.NoError(t, err)

	require.NoError(t, world.acceptImages(t.Context(), to.image, from.image))
	require.NoError(t, world.apply(t.Context(), settings))
	require.NoError(t, world.apply(t.Context(), deployment))
	if to.image == from.image {
		// A configuration is read at start.
		require.NoError(t, world.Admin.Do(t.Context(), "", "rollout", "restart", "deployment/"+systemName, "-n", systemSpace))
	}
	o.deployed = to
	require.NoError(t, world.awaitReplicas(t.Context(), shipped))
	o.learn(t, to.name+fmt.Sprintf(", after %s", from.name))
	o.settle(t, admissionsPerSecond)
}

// acceptImages has the policies accept init containers of some images, and waits until they do.
func (w *World) acceptImages(ctx context.Context, accepted ...string) error {
	var names []string
	for _, image := range accepted {
		names = append(names, short(image))
	}
	patch := fmt.Sprintf(`{"data":{"initImages":%q}}`, strings.Join(names, " "))
	parameters, err := w.Client.CoreV1().ConfigMaps(systemSpace).Patch(ctx, "jupyter-user-policy", types.MergePatchType,
		[]byte(patch), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return w.AwaitPolicies(ctx, parameters)
}

// restore leaves the webhook to other tests as they know it.
func (o *operations) restore(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), rolloutLimit)
	defer cancel()
	settings, err := configMap()
	require.NoError(t, err)
	for _, text := range []string{settings, asShipped("30-deployment.yaml")} {
		require.NoError(t, world.apply(ctx, text))
	}
	require.NoError(t, world.acceptImages(ctx, images.Webhook))
	require.NoError(t, world.Admin.Do(ctx, "", "rollout", "restart", "deployment/"+systemName, "-n", systemSpace))
	require.NoError(t, world.awaitReplicas(ctx, shipped))
}

// replicas are those that are not ending, and those that are.
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

// awaitReplica waits until something is true of the replicas.
func awaitReplica(t *testing.T, what string, condition func(serving, ending []corev1.Pod) bool) {
	t.Helper()
	require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
		return condition(replicas(t)), nil
	}), what)
}

// twoServe: both replicas are there and ready.
func twoServe(serving, _ []corev1.Pod) bool {
	return len(serving) == 2 && isReady(&serving[0]) && isReady(&serving[1])
}

// drained waits until those that end have ended.
func (o *operations) drained(t *testing.T) {
	awaitReplica(t, "the drain is over", func(_, ending []corev1.Pod) bool { return len(ending) == 0 })
	o.settle(t, admissionsPerSecond)
}

// evict drains the node, so to speak: the second replica has to stay until there is another.
func (o *operations) evict(t *testing.T) {
	serving, _ := replicas(t)
	require.Len(t, serving, 2)
	evict := func(pod corev1.Pod) error {
		return world.Client.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
			SubResource("eviction").MaxRetries(0).Body(&policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}}).
			Do(t.Context()).Error()
	}
	require.NoError(t, evict(serving[0]))
	refused := 0
	require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
		err := evict(serving[1])
		if apierrors.IsTooManyRequests(err) {
			refused++
			assert.ErrorContains(t, err, "Cannot evict pod as it would violate the pod's disruption budget.")
			return false, nil
		}
		return err == nil, err
	}))
	assert.NotZero(t, refused, "the second was evicted before there was a replacement of the first")
	now, _ := replicas(t)
	ready := 0
	for _, pod := range now {
		if isReady(&pod) {
			ready++
		}
	}
	assert.NotZero(t, ready, "nobody served when the second was evicted")
	t.Logf("the second eviction was refused %d times until there was another replica", refused)
	awaitReplica(t, "two serve again", twoServe)
	o.settle(t, admissionsPerSecond)
}

// kill kills one replica's only process: no drain, nobody is told.
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
		return twoServe(serving, ending)
	})
	o.killed = span{killed, time.Now()}
	o.settle(t, admissionsPerSecond)
	lost, last := 0, killed
	for _, a := range o.between(killed.Add(-admissionLimit), time.Now()) {
		if a.refused != nil && o.killed.meets(a) {
			lost++
			last = a.began.Add(a.took)
		}
	}
	t.Logf("%d lost, the last %s after it was killed; its process was there again after %s, and it was ready after %s", lost,
		last.Sub(killed).Round(time.Millisecond), runs.Round(time.Millisecond), o.killed.to.Sub(killed).Round(time.Millisecond))
}

// rotate replaces the certificate by one of another authority, as README.md says it is done by hand: both are trusted first, and
// the old one no more when nobody shows it any longer.
func (o *operations) rotate(t *testing.T) {
	secrets := world.Client.CoreV1().Secrets(systemSpace)
	secret, err := secrets.Get(t.Context(), systemName+"-certs", metav1.GetOptions{})
	require.NoError(t, err)
	next, err := pki.New(24*time.Hour, systemName+"."+systemSpace+".svc")
	require.NoError(t, err)
	trust := func(certificates []byte) {
		mutating, validating, err := shipped.registrations(pki.Pair{Cert: certificates})
		require.NoError(t, err)
		require.NoError(t, world.apply(t.Context(), mutating))
		require.NoError(t, world.apply(t.Context(), validating))
		require.NoError(t, world.AwaitWebhooks(t.Context()))
	}
	trust(append(append([]byte{}, secret.Data[corev1.TLSCertKey]...), next.Cert...))
	secret.Data = map[string][]byte{corev1.TLSCertKey: next.Cert, corev1.TLSPrivateKeyKey: next.Key}
	_, err = secrets.Update(t.Context(), secret, metav1.UpdateOptions{})
	require.NoError(t, err)
	serving, _ := replicas(t)
	for _, pod := range serving {
		// The kubelet looks at a pod's Secrets once a minute, or when the pod changes.
		require.NoError(t, world.Admin.Do(t.Context(), "", "annotate", "pod", pod.Name, "-n", pod.Namespace, "e2e/looked-at=now"))
	}
	for _, pod := range serving {
		require.NoError(t, await(t.Context(), rolloutLimit, func(context.Context) (bool, error) {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", net.JoinHostPort(pod.Status.PodIP, "9443"),
				&tls.Config{RootCAs: next.Roots(), ServerName: systemName + "." + systemSpace + ".svc"})
			if err != nil {
				return false, nil //nolint:nilerr // It shows the old one yet.
			}
			return true, conn.Close()
		}), "%s shows the new certificate", pod.Name)
	}
	trust(next.Cert)
	o.settle(t, admissionsPerSecond)
	configuration, err := world.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), systemName, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, base64.StdEncoding.EncodeToString(next.Cert),
		base64.StdEncoding.EncodeToString(configuration.Webhooks[0].ClientConfig.CABundle), "the old authority is gone")
}

// restartAPIServer: while it is away, creating fails, and afterwards no more.
func (o *operations) restartAPIServer(t *testing.T) {
	o.away.from = time.Now()
	require.NoError(t, world.RestartAPIServer(t.Context()))
	o.away.to = time.Now()
	o.settle(t, 2*admissionsPerSecond)
}
