package controlplane_test

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

func runPods() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get"}}
}

func TestControlPlane(t *testing.T) {
	c, err := controlplane.Start(t.Context(), controlplane.Options{
		Webhooks:         []string{filepath.Join("testdata", "webhook.yaml")},
		AdmissionPlugins: []string{"AlwaysPullImages"},
		Progress:         os.Stderr,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assertNothingLeft(t, c) })

	require.NoError(t, c.Namespace(t.Context(), "lab", nil))
	alice, err := c.User("alice@corp.example", "staff")
	require.NoError(t, err)
	require.NoError(t, c.Allow(t.Context(), "lab", alice, runPods()))

	t.Run("a user who is no admin runs a pod", func(t *testing.T) { testRun(t, alice) })
	t.Run("a user without a right", func(t *testing.T) { testForbidden(t, alice) })
	t.Run("the groups of a user", func(t *testing.T) {
		result := kubectl(t, alice, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")
		assert.Equal(t, `alice@corp.example ["staff","system:authenticated"]`, result.Stdout)
	})
	t.Run("a namespace enforces Pod Security", func(t *testing.T) { testPodSecurity(t, c, alice) })
	t.Run("webhooks are called over HTTP/1.1", func(t *testing.T) { testWebhook(t, c, alice) })
	t.Run("the version of the server", func(t *testing.T) {
		assert.Regexp(t, `"gitVersion": "v1\.\d+\.\d+"`, kubectl(t, c.Admin, "get", "--raw", "/version").Stdout)
	})
}

func kubectl(t *testing.T, user *controlplane.User, arguments ...string) controlplane.Result {
	t.Helper()
	result, err := user.Kubectl(t.Context(), arguments...)
	require.NoError(t, err)
	return result
}

// run creates a Pod with kubectl run, which must succeed, and returns the Pod.
func run(t *testing.T, user *controlplane.User, arguments ...string) *corev1.Pod {
	t.Helper()
	result := kubectl(t, user, append([]string{"run", "--image=x", "-o", "json"}, arguments...)...)
	require.Zero(t, result.ExitCode, result.Stderr)
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal([]byte(result.Stdout), pod))
	return pod
}

func testRun(t *testing.T, user *controlplane.User) {
	for _, arguments := range [][]string{{"nb", "-n", "lab", "--dry-run=server"}, {"nb", "-n", "lab"}} {
		pod := run(t, user, arguments...)
		require.Len(t, pod.Spec.Volumes, 1, "the ServiceAccount plugin adds one")
		assert.Regexp(t, "^kube-api-access-", pod.Spec.Volumes[0].Name)
		assert.Equal(t, "default", pod.Spec.ServiceAccountName)
		assert.Equal(t, corev1.PullAlways, pod.Spec.Containers[0].ImagePullPolicy, "set by the plugin AlwaysPullImages")
	}
	result := kubectl(t, user, "get", "pod", "nb", "-n", "lab", "-o", "name")
	assert.Equal(t, controlplane.Result{Stdout: "pod/nb\n"}, result, "a dry run creates no Pod")
}

func testForbidden(t *testing.T, user *controlplane.User) {
	result := kubectl(t, user, "run", "nb", "--image=x")
	assert.Equal(t, 1, result.ExitCode)
	assert.Empty(t, result.Stdout)
	assert.Contains(t, result.Stderr, `User "alice@corp.example" cannot create resource "pods"`)
}

func testPodSecurity(t *testing.T, c *controlplane.ControlPlane, user *controlplane.User) {
	require.NoError(t, c.Namespace(t.Context(), "strict", map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted",
	}))
	require.NoError(t, c.Allow(t.Context(), "strict", user, runPods()))
	result := kubectl(t, user, "run", "nb", "-n", "strict", "--image=x")
	assert.Equal(t, 1, result.ExitCode)
	assert.Contains(t, result.Stderr, `violates PodSecurity "restricted:latest"`)
}

// testWebhook serves the webhook of testdata/webhook.yaml. Before that, a call must fail because no server listens. The
// failure shows that the webhook configuration is in effect when Start returns.
func testWebhook(t *testing.T, c *controlplane.ControlPlane, user *controlplane.User) {
	result := kubectl(t, user, "run", "called", "-n", "lab", "--image=x", "--labels=called=yes")
	require.Equal(t, 1, result.ExitCode)
	require.Contains(t, result.Stderr, `failed calling webhook "pods.controlplane.test"`)

	calls := make(chan *http.Request, 1)
	serve(t, c.Webhook, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		review := admissionv1.AdmissionReview{}
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&review))
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Warnings: []string{"called"}}
		assert.NoError(t, json.NewEncoder(w).Encode(review))
		calls <- r
	}))
	result = kubectl(t, user, "run", "called", "-n", "lab", "--image=x", "--labels=called=yes")
	require.Zero(t, result.ExitCode, result.Stderr)
	assert.Contains(t, result.Stderr, "Warning: called")
	call := <-calls
	assert.Equal(t, "/mutate", call.URL.Path)
	assert.Equal(t, "HTTP/1.1", call.Proto, "as behind a Service")
}

func serve(t *testing.T, address controlplane.WebhookAddress, handler http.Handler) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(address.Host, strconv.Itoa(address.Port)))
	require.NoError(t, err)
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{NextProtos: []string{"h2", "http/1.1"}}}
	served := make(chan error, 1)
	go func() {
		served <- server.ServeTLS(listener, filepath.Join(address.CertDir, "tls.crt"), filepath.Join(address.CertDir, "tls.key"))
	}()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}
