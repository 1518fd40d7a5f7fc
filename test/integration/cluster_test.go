package integration

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"jupyter-user.io/jupyter-user-webhook/certs"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// A cluster is an API server with the shipped webhook configurations and policies, and a user carol who is no admin.
type cluster struct {
	*controlplane.ControlPlane
	carol *controlplane.User
	log   *journal.Journal
	stop  func()
	// files reads the serving certificate. It is opened once, because each reader needs an inotify instance, of which a
	// machine has few.
	files     *certs.Files
	filesRead sync.Once
}

// A fakeDirectoryService has the identities of the users with discovery at admission.
type fakeDirectoryService map[string]identity.Identity

func (d fakeDirectoryService) Find(_ context.Context, name user.Name) (*identity.Identity, error) {
	if id, ok := d[name.String()]; ok {
		return &id, nil
	}
	return nil, nil
}

// FindUncached is the same as Find, because a fakeDirectoryService caches nothing.
func (d fakeDirectoryService) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return d.Find(ctx, name)
}

var users = fakeDirectoryService{"alice": identity.New(5001, 6001, []int64{7001})}

// fakeDirectoryServiceFor returns the directory service for a configuration. If the configuration takes homes from the
// directory service, alice has a home there.
func fakeDirectoryServiceFor(configured *config.Config) fakeDirectoryService {
	alice := users["alice"]
	if configured.Share.HomesByField() {
		alice.Home = "/hpc/home/a/alice"
	}
	return fakeDirectoryService{"alice": alice}
}

func start(t *testing.T, plugins ...string) *cluster {
	t.Helper()
	return startWith(t, controlplane.Options{AdmissionPlugins: plugins})
}

// startWith starts a cluster with these options, and the webhook.
func startWith(t *testing.T, options controlplane.Options) *cluster {
	t.Helper()
	c := startUnserved(t, options)
	c.serve(t)
	return c
}

// patientTimeout is the timeout of the webhooks, in seconds, in a test that does not test timeouts.
const patientTimeout = 30

// startUnserved starts a cluster without a webhook server.
func startUnserved(t *testing.T, options controlplane.Options) *cluster {
	t.Helper()
	options.Webhooks = append([]string{"../../deploy/install.yaml", "testdata/second-webhook.yaml"}, options.Webhooks...)
	options.Policies, options.Progress, options.WebhookTimeout = shippedPolicies(t), t.Output(), cmp.Or(options.WebhookTimeout, patientTimeout)
	plane, err := controlplane.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, plane.Stop()) })
	c := &cluster{ControlPlane: plane, log: &journal.Journal{}}
	c.carol, err = plane.User("carol")
	require.NoError(t, err)
	return c
}

// serve starts the webhook like the serve command, and a second webhook at the same address.
func (c *cluster) serve(t *testing.T) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", c.replica(t, config.Default()))
	mux.Handle("/second", secondWebhook())
	_, c.stop = c.listen(t, c.calledAddress(), mux)
}

// calledAddress returns the address at which the API server calls webhooks.
func (c *cluster) calledAddress() string {
	return net.JoinHostPort(c.Webhook.Host, strconv.Itoa(c.Webhook.Port))
}

// replica returns the handler of a replica with a configuration. If the user of a Pod is known, the handler decides with
// discovery at admission, and otherwise with discovery at start.
func (c *cluster) replica(t *testing.T, configured *config.Config, peers ...string) http.Handler {
	t.Helper()
	others, err := server.NewPeers(peers, c.certificate().GetCertificate)
	require.NoError(t, err)
	others.Timeout = machine.Patience
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	handler := func(w *webhook.Webhook) http.Handler {
		return server.NewHandler(w, slog.New(slog.NewJSONHandler(c.log, nil)), metrics, others)
	}
	atAdmission := handler(webhook.New(configured, fakeDirectoryServiceFor(configured)))
	atStart := handler(webhook.New(configured, nil))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var review struct {
			Request struct{ Object json.RawMessage }
		}
		if json.Unmarshal(body, &review) == nil && known(review.Request.Object) {
			atAdmission.ServeHTTP(w, r)
			return
		}
		atStart.ServeHTTP(w, r)
	})
}

// decider returns the webhook that decides about a Pod. If the user of the Pod is known, the webhook finds identities in
// a fakeDirectoryService, and otherwise it has no source of identities. A real site has only one of these two webhooks.
// These tests have both, to test both discoveries on one cluster.
func decider(configured *config.Config, pod []byte) *webhook.Webhook {
	if known(pod) {
		return webhook.New(configured, fakeDirectoryServiceFor(configured))
	}
	return webhook.New(configured, nil)
}

// known reports whether the user of a Pod has an identity in the variable users.
func known(pod []byte) bool {
	var named struct {
		Metadata struct{ Labels, Annotations map[string]string }
	}
	if json.Unmarshal(pod, &named) != nil {
		return false
	}
	_, byLabel := users[named.Metadata.Labels["jupyter-user"]]
	_, byHub := users[named.Metadata.Annotations["hub.jupyter.org/username"]]
	return byLabel || byHub
}

func (c *cluster) certificate() *certs.Files {
	c.filesRead.Do(func() {
		c.files = certs.FromDirectory(c.Webhook.CertDir, slog.New(slog.NewJSONHandler(c.log, nil)))
	})
	return c.files
}

// listen serves a handler like the serve command. It returns the address, and a function that ends the server.
func (c *cluster) listen(t *testing.T, address string, handler http.Handler) (at string, stop func()) {
	t.Helper()
	var listener net.Listener
	// While the webhook is down, a connection of another process may have the webhook's port for a moment.
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		var err error
		listener, err = net.Listen("tcp", address)
		assert.NoError(t, err)
	}, wait, 100*time.Millisecond)
	server := server.New(listener, handler, server.Options{
		GetCertificate: c.certificate().GetCertificate, Log: slog.New(slog.NewJSONHandler(c.log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// namespace creates a namespace, with a Pod Security level unless level is empty. carol may create Pods in it and use the
// homes of alice and qiang.guo03.
func (c *cluster) namespace(t *testing.T, name, level string) {
	t.Helper()
	labels := map[string]string{}
	if level != "" {
		labels["pod-security.kubernetes.io/enforce"] = level
	}
	require.NoError(t, c.Namespace(t.Context(), name, labels))
	require.NoError(t, c.Allow(t.Context(), name, c.carol, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get", "list", "patch", "update", "delete"},
	}, mayUse("alice", "qiang.guo03")))
}

// kubectl runs kubectl as carol.
func (c *cluster) kubectl(t *testing.T, arguments ...string) controlplane.Result {
	t.Helper()
	result, err := c.carol.Kubectl(t.Context(), arguments...)
	require.NoError(t, err)
	return result
}

// run creates a Pod with kubectl run, as carol, and returns the stored Pod as JSON and as a typed object.
func (c *cluster) run(t *testing.T, namespace, name string, arguments ...string) ([]byte, *corev1.Pod) {
	t.Helper()
	created := c.kubectl(t, append([]string{"run", name, "-n", namespace, "--image=quay.io/jupyter/minimal-notebook"}, arguments...)...)
	require.Zero(t, created.ExitCode, created.Stderr)
	return c.get(t, namespace, name)
}

// create creates a Pod from YAML with kubectl create, as carol.
func (c *cluster) create(t *testing.T, namespace, yaml string) controlplane.Result {
	t.Helper()
	// The caller checks the exit status, because some Pods must be denied.
	result, err := c.carol.KubectlReading(t.Context(), yaml, "create", "-n", namespace, "-o", "json", "-f", "-")
	require.NoError(t, err)
	return result
}

func (c *cluster) get(t *testing.T, namespace, name string) ([]byte, *corev1.Pod) {
	t.Helper()
	got := c.kubectl(t, "get", "pod", name, "-n", namespace, "-o", "json")
	require.Zero(t, got.ExitCode, got.Stderr)
	return []byte(got.Stdout), decode(t, got.Stdout)
}

func decode(t *testing.T, text string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal([]byte(text), pod))
	return pod
}

// assertSettled asserts that a new decision about a stored Pod has no operations and finds no drift. A stored Pod also
// has the changes by the API server and by other webhooks.
func assertSettled(t *testing.T, stored []byte) {
	t.Helper()
	d := decider(config.Default(), stored).Decide(t.Context(), webhook.Review{Pod: stored, Namespace: "x"})
	assert.True(t, d.Claimed)
	assert.Empty(t, d.Denials)
	assert.Empty(t, d.Operations)
	assert.Empty(t, d.Drift())
}

// A decision has some fields of the log line of one review.
type decision struct {
	Msg, Review, Outcome, Pod, Namespace, User, Requester, Peer string
	Operations                                                  int
	DryRun                                                      bool
	Reasons                                                     []string
}

// decisions returns the log lines of the reviews of a namespace, in order. The webhook writes the log line before it sends
// the response, so the log has all reviews of requests that have ended.
func (c *cluster) decisions(t *testing.T, namespace string) (found []decision) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(c.log.String()))
	for decoder.More() {
		var a decision
		require.NoError(t, decoder.Decode(&a))
		if a.Msg == "admission" && a.Namespace == namespace {
			found = append(found, a)
		}
	}
	return found
}

// wait is the longest time that a test waits for a condition.
const wait = machine.Patience
