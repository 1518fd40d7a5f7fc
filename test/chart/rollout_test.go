package chart

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/certs"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// A rollout is a cluster in which the test upgrades the chart and replaces the replicas of the webhook while notebooks are
// created.
type rollout struct {
	*lifecycle
	pair pki.Pair
	// listeners are the listeners of all replicas, including those that start later. serving are the handlers of the
	// replicas that serve now.
	listeners []net.Listener
	mu        sync.Mutex
	serving   []http.Handler
	// images has the number of created notebooks by the image of the injected init container.
	images map[string]int
}

// TestRolloutUnderLoad upgrades an installation to other values and another image while notebooks are created and
// replicas of both versions serve. It tests two ways: helm upgrade, which finds the earlier image in the cluster, and
// helm template with kubectl apply, for which the earlier image is given as a value.
func TestRolloutUnderLoad(t *testing.T) {
	t.Parallel()
	for name, install := range map[string]func(*testing.T, *rollout, string){
		"by helm upgrade": func(t *testing.T, r *rollout, values string) {
			r.run(t, values, "upgrade", helm.Release, r.chart, "--install", "--namespace", helm.Namespace, "--values", "-")
		},
		"by kubectl apply": func(t *testing.T, r *rollout, values string) {
			rendered := r.run(t, values, "template", helm.Release, r.chart, "--namespace", helm.Namespace, "--values", "-",
				"--set=image.accepted={jupyter-user-webhook:before}")
			require.NoError(t, r.Admin.Do(t.Context(), rendered, "apply", "--server-side", "--force-conflicts", "-f", "-"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := beginRollout(t)
			values := "share: {nfs: {server: nfs.example.com}}, namespaces: [lab], " + fmt.Sprintf("certificates: {source: secret, caBundle: %q}", r.pair.Cert)
			install(t, r, "{image: {tag: before}, "+values+"}")
			require.NoError(t, r.AwaitPolicies(t.Context()))
			r.serve(t, 0)
			defer r.load(t)()
			r.awaitNotebooks(t, map[string]int{"before": 20})
			install(t, r, "{image: {tag: after}, podSecurity: 'off', access: {controllers: [system:serviceaccount:argocd:argocd]}, "+
				"config: {notebook: {port: 9000, env: [{name: A, value: b}]}}, "+values+"}")
			require.NoError(t, r.AwaitPolicies(t.Context()), "a new replica is not ready before the policies are in effect")
			r.serve(t, 1)
			r.awaitNotebooks(t, map[string]int{"before": r.countNotebooks("before") + 20, "after": 20})
			r.retire()
			r.awaitNotebooks(t, map[string]int{"after": r.countNotebooks("after") + 20})
		})
	}
}

// reviewTimeout is the timeoutSeconds of the shipped webhooks.
const reviewTimeout = 2 * time.Second

func beginRollout(t *testing.T) *rollout {
	t.Helper()
	r := &rollout{images: map[string]int{}}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	egress, err := controlplane.StartEgress(func() string { return front.Addr().String() })
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, egress.Stop()) })
	r.lifecycle = newLifecycle(t, start(t, map[string][]string{"egress-selector-config-file": {egress.File}}))
	// On a slow machine a review can take longer than the product's timeout. So the timeout is 30 s here, and load allows a
	// creation to take reviewTimeout, multiplied by the slowness of the machine.
	r.chart = r.changedChart(t, "timeoutSeconds: 2\n", "timeoutSeconds: 30\n", "50-mutatingwebhookconfiguration.yaml",
		"51-validatingwebhookconfiguration.yaml")
	r.pair, err = pki.New(90*24*time.Hour, "jupyter-user-webhook.jupyter-user-system.svc")
	require.NoError(t, err)
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		r.listeners = append(r.listeners, listener)
	}
	r.listen(t, front, r)
	return r
}

// ServeHTTP forwards each review to a random replica.
func (r *rollout) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	handler := r.serving[rand.IntN(len(r.serving))]
	r.mu.Unlock()
	handler.ServeHTTP(w, request)
}

func (r *rollout) retire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serving = r.serving[1:]
}

// serve adds a replica with the current content of the ConfigMap. The replica uses the listener with the index i.
func (r *rollout) serve(t *testing.T, i int) {
	t.Helper()
	installed, err := r.client.CoreV1().ConfigMaps(helm.Namespace).Get(t.Context(), helm.Release, metav1.GetOptions{})
	require.NoError(t, err)
	configured, err := config.Parse([]byte(installed.Data["config.yaml"]))
	require.NoError(t, err)
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	var addresses []string
	for _, listener := range r.listeners {
		addresses = append(addresses, listener.Addr().String())
	}
	peers, err := server.NewPeers(addresses, r.certificate(t))
	require.NoError(t, err)
	peers.Timeout = machine.Patience
	handler := server.NewHandler(webhook.New(configured, nil), slog.New(slog.NewJSONHandler(&journal.Journal{}, nil)), metrics, peers)
	r.listen(t, r.listeners[i], handler)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serving = append(r.serving, handler)
}

func (r *rollout) listen(t *testing.T, listener net.Listener, handler http.Handler) {
	t.Helper()
	server := server.New(listener, handler, server.Options{GetCertificate: r.certificate(t),
		Log: slog.New(slog.NewJSONHandler(&journal.Journal{}, nil))})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
}

func (r *rollout) certificate(t *testing.T) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	t.Helper()
	folder := t.TempDir()
	r.pair.Write(t, folder)
	return certs.FromDirectory(folder, slog.New(slog.NewJSONHandler(&journal.Journal{}, nil))).GetCertificate
}

// countNotebooks returns the number of created notebooks whose init container has the image with this tag.
func (r *rollout) countNotebooks(tag string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.images["jupyter-user-webhook:"+tag]
}

// awaitNotebooks waits until, for each tag, more than the wanted number of notebooks were created with the image of this
// tag.
func (r *rollout) awaitNotebooks(t *testing.T, wanted map[string]int) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for tag, count := range wanted {
			assert.Greater(c, r.countNotebooks(tag), count)
		}
	}, machine.Patience, 10*time.Millisecond)
}

// rollout.load lets the user carol create notebooks in a dry run, until the returned function is called. No creation may
// fail.
func (r *rollout) load(t *testing.T) (stop func()) {
	t.Helper()
	carol, err := r.User("carol")
	require.NoError(t, err)
	require.NoError(t, r.Allow(t.Context(), "lab", carol, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"},
		Verbs: []string{"create"}}, rbacv1.PolicyRule{APIGroups: []string{"jupyter-user.io"}, Resources: []string{"homes"}, Verbs: []string{"use"}}))
	client, err := kubernetes.NewForConfig(carol.Config)
	require.NoError(t, err)
	var stopped atomic.Bool
	ended := make(chan struct{})
	watch := machine.WatchDuring(t)
	go func() {
		defer close(ended)
		for !stopped.Load() {
			began := time.Now()
			pod, err := client.CoreV1().Pods("lab").Create(context.Background(), &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{GenerateName: "nb-", Labels: map[string]string{"jupyter-user": "alice"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: "x"}}},
			}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if took := time.Since(began); took > reviewTimeout {
				watch.Within(t, took, reviewTimeout, "the creation of a notebook")
			}
			if assert.NoError(t, err) {
				r.mu.Lock()
				r.images[pod.Spec.InitContainers[0].Image]++
				r.mu.Unlock()
			}
		}
	}()
	return func() {
		stopped.Store(true)
		<-ended
	}
}

// testUnfinishedRollout upgrades to an image whose replicas never start, and then to a third image. Until replicas of the
// third image serve, replicas of the first image still inject Pods. So the third release must accept the first image too.
func (l *lifecycle) testUnfinishedRollout(t *testing.T) {
	t.Helper()
	upgrade := func(tag string) {
		l.run(t, lifecycleValues, "upgrade", helm.Release, l.chart, "--namespace", helm.Namespace, "--values", "-", "--set=image.tag="+tag)
	}
	// The API server of this test has no controller of Deployments, so the test makes the ReplicaSets.
	sets, labels := l.client.AppsV1().ReplicaSets(helm.Namespace), map[string]string{"app.kubernetes.io/name": "jupyter-user-webhook"}
	runs := func(tag, image string, replicas int32) {
		set, err := sets.Create(t.Context(), &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "jupyter-user-webhook-" + tag, Labels: labels},
			Spec: appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "webhook", Image: image}}}}}}, metav1.CreateOptions{})
		require.NoError(t, err)
		set.Status.Replicas = replicas
		_, err = sets.UpdateStatus(t.Context(), set, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	const image = "jupyter-user-webhook:"
	upgrade("mistyped")
	l.assertRuns(t, image+"mistyped", image+"mistyped "+current)
	runs("older", image+"older", 0)
	runs("current", current, 2)
	runs("mistyped", image+"mistyped", 1)
	upgrade("third")
	l.assertRuns(t, image+"third", image+"third "+image+"mistyped "+current)
	upgrade("third")
	l.assertRuns(t, image+"third", image+"third "+image+"mistyped "+current)
	require.NoError(t, sets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	upgrade("fourth")
	l.assertRuns(t, image+"fourth", image+"fourth "+image+"third")
	upgrade("")
}
