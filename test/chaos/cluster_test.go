package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// A world is a real API server with all that is shipped, which every scenario has for itself for as long as it lasts.
type world struct {
	*controlplane.ControlPlane
	// authority has signed the certificates that the API server trusts.
	authority pki.Pair
	// hub is who creates pods: it may use every home, and nothing is allowed to it that a hub needs not.
	hub, admin kubernetes.Interface
}

const (
	namespace = "lab"
	hubName   = "system:serviceaccount:hub:hub"
)

// theWorld is started once, by the first scenario that needs it.
var theWorld = sync.OnceValues(startWorld)

// started is set once theWorld is there, and is for stopCluster.
var started *controlplane.ControlPlane

func startWorld() (*world, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // The first run ever builds it.
	defer cancel()
	policies, err := deploy.Policies()
	if err != nil {
		return nil, err
	}
	plane, err := controlplane.Start(ctx, controlplane.Options{
		Webhooks: []string{"../../deploy/install.yaml"}, Policies: policies, Progress: os.Stderr,
	})
	if err != nil {
		return nil, err
	}
	started = plane
	w := &world{ControlPlane: plane}
	if w.admin, err = kubernetes.NewForConfig(plane.Admin.Config); err != nil {
		return nil, err
	}
	return w, w.furnish(ctx)
}

func stopCluster() error {
	if started == nil {
		return nil
	}
	return started.Stop()
}

// furnish makes a namespace for notebooks, a hub that creates them, and an authority whose certificates are trusted.
func (w *world) furnish(ctx context.Context) (err error) {
	if err := w.Namespace(ctx, namespace, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}); err != nil {
		return err
	}
	hub, err := w.User(hubName)
	if err != nil {
		return err
	}
	err = w.Allow(ctx, namespace, hub,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get", "list", "delete"}},
		rbacv1.PolicyRule{APIGroups: []string{"jupyter-user.io"}, Resources: []string{"homes"}, Verbs: []string{"use"}})
	if err != nil {
		return err
	}
	if w.hub, err = kubernetes.NewForConfig(hub.Config); err != nil {
		return err
	}
	if w.authority, err = pki.New(time.Hour, "authority"); err != nil {
		return err
	}
	return w.eachWebhook(ctx, func(client *admissionv1.WebhookClientConfig, _ *admissionv1.FailurePolicyType) {
		client.CABundle = w.authority.Cert
	})
}

// eachWebhook changes the webhook configurations that we ship. The caller must wait until the API server has seen it.
func (w *world) eachWebhook(ctx context.Context,
	change func(client *admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType)) error {
	const name, mutatingName = "jupyter-user-webhook", "00-jupyter-user-webhook"
	registered := w.admin.AdmissionregistrationV1()
	mutating, err := registered.MutatingWebhookConfigurations().Get(ctx, mutatingName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range mutating.Webhooks {
		change(&mutating.Webhooks[i].ClientConfig, mutating.Webhooks[i].FailurePolicy)
	}
	if _, err := registered.MutatingWebhookConfigurations().Update(ctx, mutating, metav1.UpdateOptions{}); err != nil {
		return err
	}
	validating, err := registered.ValidatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range validating.Webhooks {
		change(&validating.Webhooks[i].ClientConfig, validating.Webhooks[i].FailurePolicy)
	}
	_, err = registered.ValidatingWebhookConfigurations().Update(ctx, validating, metav1.UpdateOptions{})
	return err
}

// A cluster is the world with a Service of a scenario's own, and what its replicas start with.
type cluster struct {
	*world
	*service
	passwd string
	// drain is serve's: longer on a machine that is slow now, because the Service and the API server notice later there.
	drain time.Duration
	// places are where replicas can be, which is what each of them is told: as in a cluster, one that is started again is where
	// it was.
	places []place
}

// newCluster has a Service without replicas.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	w, err := theWorld()
	require.NoError(t, err)
	drain := time.Duration(float64(played.drain) * machine.Now())
	c := &cluster{world: w, places: places(t, 8), passwd: filepath.Join(t.TempDir(), "passwd"), drain: drain}
	require.NoError(t, os.WriteFile(c.passwd, []byte("alice:x:5001:6001::/home/alice:/bin/bash\n"+
		"bob:x:5002:6002::/home/bob:/bin/bash\n"), 0o600))
	c.service = startService(t, net.JoinHostPort(w.Webhook.Host, strconv.Itoa(w.Webhook.Port)))
	t.Cleanup(w.tidying(t))
	return c
}

// tidying deletes the pods of long scenarios now and then, and all that are left when it is told to end. Nobody has seen them:
// there is no node.
func (w *world) tidying(t *testing.T) (end func()) {
	t.Helper()
	tidy := func() {
		err := w.admin.CoreV1().Pods(namespace).DeleteCollection(context.Background(), *metav1.NewDeleteOptions(0), metav1.ListOptions{})
		if err != nil { // On a machine that does not keep up. The next time deletes what this one has left.
			t.Log("delete what was created:", err)
		}
	}
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ending:
				return
			case <-time.After(30 * time.Second):
				tidy()
			}
		}
	}()
	return func() {
		close(ending)
		<-ended
		tidy()
	}
}

// A place is host:port for reviews, and for health.
type place struct{ reviews, http string }

// places are such as were free a moment ago. Their ports are none that the kernel gives to connections and to who asks for any port,
// so that they are free when a replica comes to listen there.
func places(t *testing.T, count int) (free []place) {
	t.Helper()
	address := func() (net.Listener, string) {
		for {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
			if errors.Is(err, syscall.EADDRINUSE) {
				continue
			}
			require.NoError(t, err)
			return listener, listener.Addr().String()
		}
	}
	for range count {
		// Both are held until all are found, so that none is found twice.
		reviews, at := address()
		defer reviews.Close() //nolint:errcheck // it was for the number
		http, health := address()
		defer http.Close() //nolint:errcheck // likewise
		free = append(free, place{at, health})
	}
	return free
}

// replica starts one at a place, with more flags of its own.
func (c *cluster) replica(t *testing.T, certs *secret, at place, flags ...string) *replica {
	t.Helper()
	var peers []string
	for _, p := range c.places {
		peers = append(peers, p.reviews)
	}
	return serve(t, options{certs: certs.dir, at: at, flags: append([]string{
		"--drain=" + c.drain.String(), "--passwd=" + c.passwd, "--peers=" + strings.Join(peers, ","),
	}, flags...)})
}

// pair is a certificate that the API server trusts, at the address at which it calls webhooks: see test/controlplane.
func (w *world) pair(t *testing.T, valid time.Duration) pki.Pair {
	t.Helper()
	pair, err := w.authority.Issue(valid, "jupyter-user-webhook.jupyter-user-system.svc", "0.0.0.0")
	require.NoError(t, err)
	return pair
}

// two replicas, known and admitting.
func (c *cluster) two(t *testing.T) (replicas []*replica) {
	t.Helper()
	return c.twoWith(t, newSecret(t, c.pair(t, time.Hour)), newSecret(t, c.pair(t, time.Hour)))
}

// twoWith have a certificate each.
func (c *cluster) twoWith(t *testing.T, certs ...*secret) (replicas []*replica) {
	t.Helper()
	for i, secret := range certs {
		replicas = append(replicas, c.replica(t, secret, c.places[i]))
		c.add(c.places[i])
	}
	c.untilReady(t, 2)
	c.untilAdmitting(t)
	return replicas
}

// untilAdmitting waits until a labelled pod is admitted.
func (c *cluster) untilAdmitting(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		_, err := c.create(t.Context(), notebook("alice"), metav1.DryRunAll)
		require.NoError(collect, err)
	}, wait, 10*time.Millisecond)
}

// create creates a pod as the hub, and answers it as it is stored.
func (w *world) create(ctx context.Context, pod *corev1.Pod, dryRun ...string) (*corev1.Pod, error) {
	return w.hub.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: dryRun})
}

// notebook is a pod of somebody.
func notebook(user string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "nb-", Labels: map[string]string{"jupyter-user": user}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: "quay.io/jupyter/minimal-notebook"}}},
	}
}

// plain is a pod that is no notebook.
func plain() *corev1.Pod {
	pod := notebook("")
	pod.Labels = nil
	return pod
}

// injected says what a labelled pod lacks that was admitted.
func injected(pod *corev1.Pod) error {
	user := pod.Labels["jupyter-user"]
	if pod.Annotations["jupyter-user.io/user"] != user || len(pod.Spec.InitContainers) != 1 ||
		pod.Spec.InitContainers[0].Name != "jupyter-user-init" {
		return fmt.Errorf("%s of %s is not injected", pod.Name, user)
	}
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		if mount.MountPath == "/home/"+user && mount.SubPath == "home/"+user {
			return nil
		}
	}
	return fmt.Errorf("%s of %s has no home", pod.Name, user)
}

// A secret is a certificate in a directory, as the kubelet mounts it: tls.crt and tls.key lead through ..data, a link that is
// renamed from one directory to the next.
type secret struct {
	dir     string
	version int
}

func newSecret(t *testing.T, pair pki.Pair) *secret {
	t.Helper()
	s := &secret{dir: t.TempDir()}
	for _, name := range []string{"tls.crt", "tls.key"} {
		require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(s.dir, name)))
	}
	s.set(t, pair)
	return s
}

func (s *secret) set(t *testing.T, pair pki.Pair) {
	t.Helper()
	before := filepath.Join(s.dir, fmt.Sprintf("..%d", s.version))
	s.version++
	now := fmt.Sprintf("..%d", s.version)
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, now), 0o755))
	pair.Write(t, filepath.Join(s.dir, now))
	require.NoError(t, os.Symlink(now, filepath.Join(s.dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(s.dir, "..data_tmp"), filepath.Join(s.dir, "..data")))
	require.NoError(t, os.RemoveAll(before))
}
