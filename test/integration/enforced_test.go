package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// An enforced cluster has namespaces that enforce something on pods, and a webhook whose configuration can be exchanged, as a
// rollout would.
type enforced struct {
	*cluster
	admin, asCarol kubernetes.Interface
	configured     *config.Config
	served         atomic.Pointer[http.Handler]
}

func startEnforced(t *testing.T, options controlplane.Options) *enforced {
	t.Helper()
	e := &enforced{cluster: startUnserved(t, options)}
	var err error
	e.admin, err = kubernetes.NewForConfig(e.Admin.Config)
	require.NoError(t, err)
	e.asCarol, err = kubernetes.NewForConfig(e.carol.Config)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { (*e.served.Load()).ServeHTTP(w, r) })
	mux.Handle("/second", secondWebhook())
	serveOthers(mux)
	e.serveBy(t, config.Default())
	e.listen(t, e.called(), mux)
	return e
}

// serveBy has the webhook go by a configuration.
func (e *enforced) serveBy(t *testing.T, c *config.Config) {
	t.Helper()
	handler := e.replica(t, c)
	e.configured = c
	e.served.Store(&handler)
}

// configure has it go by another one for the rest of a test.
func (e *enforced) configure(t *testing.T, change func(*config.Config)) {
	t.Helper()
	c := config.Default()
	change(c)
	e.serveBy(t, c)
	t.Cleanup(func() { e.serveBy(t, config.Default()) })
}

// accepting has the policies accept further images in the init container, for good.
func (e *enforced) accepting(t *testing.T, images ...string) {
	t.Helper()
	values, err := json.Marshal(map[string]any{"image": map[string]any{"accepted": images}})
	require.NoError(t, err)
	installed(t.Context(), t, e.ControlPlane, string(values))
}

// enforcing makes a namespace with labels in which carol may run pods, and use two homes.
func (e *enforced) enforcing(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	require.NoError(t, e.Namespace(t.Context(), name, labels))
	require.NoError(t, e.Allow(t.Context(), name, e.carol, withPods, mayUse("alice", "qiang.guo03")))
}

// An outcome is what somebody gets for a pod that they submit.
type outcome struct {
	raw      []byte
	pod      *corev1.Pod
	warnings []string
	err      error
}

// try submits a pod in a dry run, as carol.
func (e *enforced) try(t *testing.T, namespace string, pod *corev1.Pod) outcome {
	t.Helper()
	return e.submit(t, namespace, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

// keep submits a pod that stays, as carol.
func (e *enforced) keep(t *testing.T, namespace string, pod *corev1.Pod) outcome {
	t.Helper()
	return e.submit(t, namespace, pod, metav1.CreateOptions{})
}

func (e *enforced) submit(t *testing.T, namespace string, pod *corev1.Pod, options metav1.CreateOptions) (o outcome) {
	t.Helper()
	body, err := json.Marshal(pod)
	require.NoError(t, err)
	request := e.asCarol.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").
		SetHeader("Accept", "application/json").SetHeader("Content-Type", "application/json").Body(body)
	for _, dryRun := range options.DryRun {
		request = request.Param("dryRun", dryRun)
	}
	answer := request.Do(t.Context())
	for _, w := range answer.Warnings() {
		o.warnings = append(o.warnings, w.Text)
	}
	if o.err = answer.Error(); o.err == nil {
		o.raw, err = answer.Raw()
		require.NoError(t, err)
		o.pod = decode(t, string(o.raw))
	}
	return o
}

// admitted asserts that a pod was admitted whole, in the way of its user, and without a warning; and answers it.
func (e *enforced) admitted(t *testing.T, o outcome) *corev1.Pod {
	t.Helper()
	assert.Empty(t, o.warnings)
	return e.admittedAnyhow(t, o)
}

// admittedAnyhow is admitted where there may be warnings.
func (e *enforced) admittedAnyhow(t *testing.T, o outcome) *corev1.Pod {
	t.Helper()
	require.NoError(t, o.err)
	d := decider(e.configured, o.raw).Decide(t.Context(), webhook.Review{Pod: o.raw, Namespace: "x"})
	assert.True(t, d.Claimed)
	assert.Empty(t, d.Denials)
	assert.Empty(t, d.Operations)
	assert.Empty(t, d.Drift())
	discovery := "AtStart"
	if o.pod.Labels["jupyter-user"] == "alice" {
		discovery = "AtAdmission"
	}
	assert.Equal(t, discovery, o.pod.Annotations["jupyter-user.io/discovery"])
	return o.pod
}

// deniedWith asserts that a pod was denied, and with which words.
func deniedWith(t *testing.T, o outcome, words ...string) {
	t.Helper()
	require.Error(t, o.err, "nothing refused it")
	for _, word := range words {
		assert.Contains(t, o.err.Error(), word)
	}
}

// reason is the word that a client can tell a denial by.
func reason(err error) string { return string(apierrors.ReasonForError(err)) }

// asking is a pod as somebody submits it who wants a notebook of a user's.
func asking(user string, changes ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{GenerateName: "nb-", Labels: map[string]string{"jupyter-user": user}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "nb", Image: "quay.io/jupyter/minimal-notebook"}}},
	}
	for _, change := range changes {
		change(pod)
	}
	return pod
}

// withProxy adds a container of another webhook, without an annotation about it.
func withProxy(pod *corev1.Pod) {
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy"})
}

// bothWays are the ways to the identity, and whose they are here.
var bothWays = map[string]string{"at admission": "alice", "at start": "qiang.guo03"}

// inBothWays runs a test once in each.
func inBothWays(t *testing.T, test func(t *testing.T, user string)) {
	t.Helper()
	for discovery, user := range bothWays {
		t.Run(discovery, func(t *testing.T) { test(t, user) })
	}
}

// podSecurityLabels are a namespace's, without the prefix that all of them have.
func podSecurityLabels(text string) map[string]string {
	labels := map[string]string{}
	for _, pair := range strings.Fields(text) {
		key, value, _ := strings.Cut(pair, "=")
		labels[podSecurity+key] = value
	}
	return labels
}
