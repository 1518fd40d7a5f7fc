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

// enforced is a cluster for tests with namespaces that have Pod Security levels, quotas or limit ranges. The method
// configure changes the webhook's configuration.
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
	e.serveWith(t, config.Default())
	e.listen(t, e.calledAddress(), mux)
	return e
}

func (e *enforced) serveWith(t *testing.T, c *config.Config) {
	t.Helper()
	handler := e.replica(t, c)
	e.configured = c
	e.served.Store(&handler)
}

// configure changes the webhook's configuration until the test ends.
func (e *enforced) configure(t *testing.T, change func(*config.Config)) {
	t.Helper()
	c := config.Default()
	change(c)
	e.serveWith(t, c)
	t.Cleanup(func() { e.serveWith(t, config.Default()) })
}

// acceptImages makes the policies accept these images in the init container, in addition to the webhook's own image. The
// policies still accept them after the test.
func (e *enforced) acceptImages(t *testing.T, images ...string) {
	t.Helper()
	values, err := json.Marshal(map[string]any{"image": map[string]any{"accepted": images}})
	require.NoError(t, err)
	installPoliciesFor(t.Context(), t, e.ControlPlane, string(values))
}

// createEnforcing creates a namespace with these labels. carol may create Pods in it and use the homes of alice and
// qiang.guo03.
func (e *enforced) createEnforcing(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	require.NoError(t, e.Namespace(t.Context(), name, labels))
	require.NoError(t, e.Allow(t.Context(), name, e.carol, withPods, mayUse("alice", "qiang.guo03")))
}

// An outcome is the response to the creation of a Pod.
type outcome struct {
	raw      []byte
	pod      *corev1.Pod
	warnings []string
	err      error
}

// createDry creates a Pod as carol, in a dry run.
func (e *enforced) createDry(t *testing.T, namespace string, pod *corev1.Pod) outcome {
	t.Helper()
	return e.submit(t, namespace, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

// createStored creates a Pod as carol, not in a dry run.
func (e *enforced) createStored(t *testing.T, namespace string, pod *corev1.Pod) outcome {
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
	response := request.Do(t.Context())
	for _, w := range response.Warnings() {
		o.warnings = append(o.warnings, w.Text)
	}
	if o.err = response.Error(); o.err == nil {
		o.raw, err = response.Raw()
		require.NoError(t, err)
		o.pod = decode(t, string(o.raw))
	}
	return o
}

// assertAdmitted asserts that the Pod was admitted without a warning, has everything that the webhook injects, and has the
// discovery of its user in the annotation jupyter-user.io/discovery. It returns the Pod.
func (e *enforced) assertAdmitted(t *testing.T, o outcome) *corev1.Pod {
	t.Helper()
	assert.Empty(t, o.warnings)
	return e.assertAdmittedWithWarnings(t, o)
}

// assertAdmittedWithWarnings is like assertAdmitted, but allows warnings.
func (e *enforced) assertAdmittedWithWarnings(t *testing.T, o outcome) *corev1.Pod {
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

// assertDeniedWith asserts that the Pod was denied with a message that has all these words.
func assertDeniedWith(t *testing.T, o outcome, words ...string) {
	t.Helper()
	require.Error(t, o.err, "the Pod was admitted")
	for _, word := range words {
		assert.Contains(t, o.err.Error(), word)
	}
}

func reason(err error) string { return string(apierrors.ReasonForError(err)) }

// labelledPod returns a Pod with the label of a user, and with the given changes.
func labelledPod(user string, changes ...func(*corev1.Pod)) *corev1.Pod {
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

// withProxy adds a sidecar, without an annotation that names the notebook container.
func withProxy(pod *corev1.Pod) {
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy"})
}

// userOfDiscovery has the user of each discovery: the directory service of the tests knows alice, and does not know qiang.guo03.
var userOfDiscovery = map[string]string{"at admission": "alice", "at start": "qiang.guo03"}

// withEachDiscovery runs a test once for each discovery.
func withEachDiscovery(t *testing.T, test func(t *testing.T, user string)) {
	t.Helper()
	for discovery, user := range userOfDiscovery {
		t.Run(discovery, func(t *testing.T) { test(t, user) })
	}
}

// podSecurityLabels returns the Pod Security labels of a namespace from a text such as "enforce=baseline warn=restricted".
func podSecurityLabels(text string) map[string]string {
	labels := map[string]string{}
	for _, pair := range strings.Fields(text) {
		key, value, _ := strings.Cut(pair, "=")
		labels[podSecurity+key] = value
	}
	return labels
}
