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

// A sharedCluster is a real API server with the shipped webhook configurations and policies. All tests that need an API
// server use one sharedCluster, one test after the other.
type sharedCluster struct {
	*controlplane.ControlPlane
	// authority is the CA that the API server trusts.
	authority pki.Pair
	// hub is the client that creates Pods. It has the rights of a hub: it may use every home.
	hub, admin kubernetes.Interface
}

const (
	namespace = "lab"
	hubName   = "system:serviceaccount:hub:hub"
)

// startShared starts the sharedCluster at the first call.
var startShared = sync.OnceValues(startSharedCluster)

// started is the control plane of startShared, or nil if no test has started it. stopCluster stops it.
var started *controlplane.ControlPlane

func startSharedCluster() (*sharedCluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // The first run may build the API server.
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
	w := &sharedCluster{ControlPlane: plane}
	if w.admin, err = kubernetes.NewForConfig(plane.Admin.Config); err != nil {
		return nil, err
	}
	return w, w.createObjects(ctx)
}

func stopCluster() error {
	if started == nil {
		return nil
	}
	return started.Stop()
}

// createObjects creates a namespace for notebooks, a hub's client with its rights, and a CA that the webhook
// configurations trust.
func (w *sharedCluster) createObjects(ctx context.Context) (err error) {
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

// eachWebhook changes every webhook of the shipped MutatingWebhookConfiguration and ValidatingWebhookConfiguration. The
// caller must wait until the change is in effect.
func (w *sharedCluster) eachWebhook(ctx context.Context,
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

// A cluster is the sharedCluster with a Service for one test, and the settings of the replicas behind the Service.
type cluster struct {
	*sharedCluster
	*service
	passwd string
	// drain is the value of the flag --drain. It is longer on a slow machine, where the Service and the API server
	// notice later that a replica ends.
	drain time.Duration
	// addresses are the addresses at which the test can start replicas. Each replica gets all of them as its peers.
	addresses []address
}

// newCluster returns a cluster whose Service has no replicas yet.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	w, err := startShared()
	require.NoError(t, err)
	drain := time.Duration(float64(chosenForm.drain) * machine.Measure())
	c := &cluster{sharedCluster: w, addresses: freeAddresses(t, 8), passwd: filepath.Join(t.TempDir(), "passwd"), drain: drain}
	require.NoError(t, os.WriteFile(c.passwd, []byte("alice:x:5001:6001::/home/alice:/bin/bash\n"+
		"bob:x:5002:6002::/home/bob:/bin/bash\n"), 0o600))
	c.service = startService(t, net.JoinHostPort(w.Webhook.Host, strconv.Itoa(w.Webhook.Port)))
	t.Cleanup(w.keepDeletingPods(t))
	return c
}

// keepDeletingPods deletes all Pods of the namespace every 30 s until the returned function is called, and then once more.
// There is no node, so no Pod runs.
func (w *sharedCluster) keepDeletingPods(t *testing.T) (end func()) {
	t.Helper()
	tidy := func() {
		err := w.admin.CoreV1().Pods(namespace).DeleteCollection(context.Background(), *metav1.NewDeleteOptions(0), metav1.ListOptions{})
		if err != nil { // On a slow machine this can leave some Pods. The next call deletes them.
			t.Log("delete the Pods:", err)
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

// An address has the two addresses at which a replica listens, as host:port. The field reviews is for reviews, and http
// is for health checks and metrics.
type address struct{ reviews, http string }

// freeAddresses returns addresses with free ports from 10,000 to 29,999. By default Linux does not give ports of this range
// to outgoing connections, so the ports stay free until a replica listens there.
func freeAddresses(t *testing.T, count int) (free []address) {
	t.Helper()
	listen := func() (net.Listener, string) {
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
		// All listeners stay open until the function returns, so that no port is chosen twice.
		reviews, reviewAddress := listen()
		defer reviews.Close() //nolint:errcheck // only the port is needed
		http, health := listen()
		defer http.Close() //nolint:errcheck // only the port is needed
		free = append(free, address{reviewAddress, health})
	}
	return free
}

// cluster.replica starts a replica at an address, with a certificate, the cluster's settings and the given flags, and waits
// until the replica is ready.
func (c *cluster) replica(t *testing.T, certs *secret, at address, flags ...string) *replica {
	t.Helper()
	var peers []string
	for _, p := range c.addresses {
		peers = append(peers, p.reviews)
	}
	return serve(t, options{certs: certs.dir, at: at, flags: append([]string{
		"--drain=" + c.drain.String(), "--passwd=" + c.passwd, "--peers=" + strings.Join(peers, ","),
	}, flags...)})
}

// sharedCluster.issue returns a serving certificate that the API server trusts. The certificate is also valid for
// 0.0.0.0, the address at which the API server calls the webhooks.
func (w *sharedCluster) issue(t *testing.T, lifetime time.Duration) pki.Pair {
	t.Helper()
	pair, err := w.authority.Issue(lifetime, "jupyter-user-webhook.jupyter-user-system.svc", "0.0.0.0")
	require.NoError(t, err)
	return pair
}

// startTwo starts two replicas and waits until a notebook is admitted.
func (c *cluster) startTwo(t *testing.T) (replicas []*replica) {
	t.Helper()
	return c.startTwoWith(t, newSecret(t, c.issue(t, time.Hour)), newSecret(t, c.issue(t, time.Hour)))
}

// startTwoWith is like startTwo, with these certificates.
func (c *cluster) startTwoWith(t *testing.T, certs ...*secret) (replicas []*replica) {
	t.Helper()
	for i, secret := range certs {
		replicas = append(replicas, c.replica(t, secret, c.addresses[i]))
		c.add(c.addresses[i])
	}
	c.untilReady(t, 2)
	c.untilAdmitting(t)
	return replicas
}

// untilAdmitting waits until a labelled Pod is admitted.
func (c *cluster) untilAdmitting(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		_, err := c.create(t.Context(), notebook("alice"), metav1.DryRunAll)
		require.NoError(collect, err)
	}, wait, 10*time.Millisecond)
}

// create creates a Pod as the hub, and returns the Pod of the API server's response.
func (w *sharedCluster) create(ctx context.Context, pod *corev1.Pod, dryRun ...string) (*corev1.Pod, error) {
	return w.hub.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: dryRun})
}

func notebook(user string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "nb-", Labels: map[string]string{"jupyter-user": user}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: "quay.io/jupyter/minimal-notebook"}}},
	}
}

// plainPod returns a Pod that is no notebook.
func plainPod() *corev1.Pod {
	pod := notebook("")
	pod.Labels = nil
	return pod
}

// checkInjected returns an error if the annotation with the user, the init container or the mount of the home is missing
// in an admitted Pod.
func checkInjected(pod *corev1.Pod) error {
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

// A secret is a directory with a certificate, like a Secret volume of the kubelet. tls.crt and tls.key are symbolic links
// through the link ..data.
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

// secret.set writes a certificate and its key into a new directory, and replaces the link ..data by a link to this
// directory. So both files change at the same time.
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
