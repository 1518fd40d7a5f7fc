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

// A cluster is an API server with the webhook and the policies that we ship, and somebody who is no admin.
type cluster struct {
	*controlplane.ControlPlane
	carol *controlplane.User
	log   *journal.Journal
	stop  func()
	// files are read once: each reader has an inotify instance, of which a machine has few.
	files     *certs.Files
	filesRead sync.Once
}

// directory knows the users whose identity is known at admission.
type directory map[string]identity.Identity

func (d directory) Find(_ context.Context, name user.Name) (*identity.Identity, error) {
	if id, ok := d[name.String()]; ok {
		return &id, nil
	}
	return nil, nil
}

// FindUncached is Find: nothing is remembered.
func (d directory) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return d.Find(ctx, name)
}

var users = directory{"alice": identity.New(5001, 6001, []int64{7001})}

// usersOf returns the directory that a webhook with this configuration asks: with homes, if homes are where it says.
func usersOf(configured *config.Config) directory {
	alice := users["alice"]
	if configured.Share.HomesByField() {
		alice.Home = "/hpc/home/a/alice"
	}
	return directory{"alice": alice}
}

func start(t *testing.T, plugins ...string) *cluster {
	t.Helper()
	return startWith(t, controlplane.Options{AdmissionPlugins: plugins})
}

// startWith starts one with what is shipped, and whatever else is asked for.
func startWith(t *testing.T, options controlplane.Options) *cluster {
	t.Helper()
	c := startUnserved(t, options)
	c.serve(t)
	return c
}

// startUnserved starts one whose webhooks nobody serves yet.
func startUnserved(t *testing.T, options controlplane.Options) *cluster {
	t.Helper()
	options.Webhooks = append([]string{"../../deploy/install.yaml", "testdata/second-webhook.yaml"}, options.Webhooks...)
	options.Policies, options.Progress, options.WebhookTimeout = shippedPolicies(t), t.Output(), cmp.Or(options.WebhookTimeout, 30)
	plane, err := controlplane.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, plane.Stop()) })
	c := &cluster{ControlPlane: plane, log: &journal.Journal{}}
	c.carol, err = plane.User("carol")
	require.NoError(t, err)
	return c
}

// serve runs the webhook as the serve command does, with a second webhook beside it.
func (c *cluster) serve(t *testing.T) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", c.replica(t, config.Default()))
	mux.Handle("/second", secondWebhook())
	_, c.stop = c.listen(t, c.called(), mux)
}

// called is where the API server calls webhooks.
func (c *cluster) called() string {
	return net.JoinHostPort(c.Webhook.Host, strconv.Itoa(c.Webhook.Port))
}

// replica is one of the webhook, with a configuration of its own.
func (c *cluster) replica(t *testing.T, configured *config.Config, peers ...string) http.Handler {
	t.Helper()
	others, err := server.NewPeers(peers, c.certificate().GetCertificate)
	require.NoError(t, err)
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	handler := func(w *webhook.Webhook) http.Handler {
		return server.NewHandler(w, slog.New(slog.NewJSONHandler(c.log, nil)), metrics, others)
	}
	atAdmission, atStart := handler(webhook.New(configured, usersOf(configured))), handler(webhook.New(configured, nil))
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

// decider returns the webhook that decides about a Pod: one with a directory if that knows the user, else one without sources. A site
// has one of the two, and a cluster of these tests has both, so that it has notebooks of both discoveries.
func decider(configured *config.Config, pod []byte) *webhook.Webhook {
	if known(pod) {
		return webhook.New(configured, usersOf(configured))
	}
	return webhook.New(configured, nil)
}

// known reports whether the directory knows the user whom a Pod names.
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

// listen serves a handler as the serve command does, until it is stopped, and answers where.
func (c *cluster) listen(t *testing.T, address string, handler http.Handler) (at string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
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

// namespace makes a namespace in which carol may run pods, and use two homes.
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

// kubectl runs kubectl as carol, who is no admin.
func (c *cluster) kubectl(t *testing.T, arguments ...string) controlplane.Result {
	t.Helper()
	result, err := c.carol.Kubectl(t.Context(), arguments...)
	require.NoError(t, err)
	return result
}

// run creates a pod and answers it as it is stored, raw and typed.
func (c *cluster) run(t *testing.T, namespace, name string, arguments ...string) ([]byte, *corev1.Pod) {
	t.Helper()
	made := c.kubectl(t, append([]string{"run", name, "-n", namespace, "--image=quay.io/jupyter/minimal-notebook"}, arguments...)...)
	require.Zero(t, made.ExitCode, made.Stderr)
	return c.get(t, namespace, name)
}

// apply creates a pod from YAML.
func (c *cluster) create(t *testing.T, namespace, yaml string) controlplane.Result {
	t.Helper()
	// A denial is what some are made for: the caller looks at the exit status.
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

// assertSettled holds a stored pod against a new plan for it: after everything that the API server and other webhooks
// did to it, there is nothing left to do, and a verifier would find nothing.
func assertSettled(t *testing.T, stored []byte) {
	t.Helper()
	d := decider(config.Default(), stored).Decide(t.Context(), webhook.Review{Pod: stored, Namespace: "x"})
	assert.True(t, d.Claimed)
	assert.Empty(t, d.Denials)
	assert.Empty(t, d.Operations)
	assert.Empty(t, d.Drift())
}

// answered is one line that an admission leaves in the log.
type decision struct {
	Msg, Review, Outcome, Pod, Namespace, User, Way, Requester, Peer string
	Operations                                                       int
	DryRun                                                           bool
	Reasons                                                          []string
}

// answers are the admissions of a namespace, in their order. An answer is logged before it is sent, so what a client has
// seen is there.
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

// wait is long enough for anything on a slow machine.
const wait = machine.Patience
