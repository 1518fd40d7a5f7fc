package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// gatedHub is the namespace of a JupyterHub. For this namespace the API server calls the webhook through a gate, so that a
// test can interrupt the webhook for this namespace alone.
const gatedHub = "jhub-gated"

// gate is a proxy between the API server and the webhook. Its port is closed until the method open is called.
type gate struct {
	server  *httptest.Server
	address string
	pair    pki.Pair
	// delay is how long the gate waits before it passes a request on to the webhook, as a time.Duration.
	delay atomic.Int64
}

// newGate returns a closed gate on loopback. The gate passes requests on to one of the webhook's Pods.
func newGate(t *testing.T) *gate {
	t.Helper()
	secrets := cluster.Client.CoreV1().Secrets(shippedInstallation.namespace)
	secret, err := secrets.Get(t.Context(), systemName+"-certs", metav1.GetOptions{})
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(secret.Data[corev1.TLSCertKey]))
	pods, err := cluster.Client.CoreV1().Pods(shippedInstallation.namespace).List(t.Context(), metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/name=" + systemName,
	})
	require.NoError(t, err)
	require.NotEmpty(t, pods.Items)
	port := strconv.Itoa(int(pods.Items[0].Spec.Containers[0].Ports[0].ContainerPort))
	webhook := &url.URL{Scheme: "https", Host: net.JoinHostPort(pods.Items[0].Status.PodIP, port)}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: trusted, ServerName: systemName + "." + shippedInstallation.namespace + ".svc"}
	pass := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(webhook) }, Transport: transport}

	g := &gate{}
	g.pair, err = pki.New(time.Hour, "gate")
	require.NoError(t, err)
	certificate, err := tls.X509KeyPair(g.pair.Cert, g.pair.Key)
	require.NoError(t, err)
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The handler reads the whole request first, because net/http notices only after that if the client is gone.
		review, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		r.Body = io.NopCloser(bytes.NewReader(review))
		select {
		case <-time.After(time.Duration(g.delay.Load())):
			pass.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	g.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	g.address = g.server.Listener.Addr().String()
	require.NoError(t, g.server.Listener.Close())
	return g
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	var err error
	g.server.Listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", g.address)
	require.NoError(t, err)
	g.server.StartTLS()
	t.Cleanup(g.server.Close)
}

// register creates webhook configurations for the namespace gatedHub, with the address of the gate.
func (g *gate) register(t *testing.T) {
	t.Helper()
	rendered, err := cluster.helm.Template(t.Context(), fmt.Sprintf("{onlyNamespaces: [%s], certificates: {source: secret, caBundle: %q}}",
		gatedHub, g.pair.Cert))
	require.NoError(t, err)
	first, second, err := installation{gatedHub, shippedInstallation.namespace}.webhookConfigurations(rendered)
	require.NoError(t, err)
	mutating, validating := &admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(first), mutating))
	require.NoError(t, yaml.UnmarshalStrict([]byte(second), validating))
	setURL := func(config *admissionv1.WebhookClientConfig) {
		address := "https://" + g.address + *config.Service.Path
		config.Service, config.URL = nil, &address
	}
	for i := range mutating.Webhooks {
		setURL(&mutating.Webhooks[i].ClientConfig)
	}
	for i := range validating.Webhooks {
		setURL(&validating.Webhooks[i].ClientConfig)
	}
	client := cluster.Client.AdmissionregistrationV1()
	_, err = client.MutatingWebhookConfigurations().Create(t.Context(), mutating, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.ValidatingWebhookConfigurations().Create(t.Context(), validating, metav1.CreateOptions{})
	require.NoError(t, err)
}

// TestJupyterHubWithoutWebhook tests that if the webhook does not respond, no server is spawned, and the hub's page shows
// why. When the webhook responds again, spawning works again. If the webhook is slow, KubeSpawner must not repeat the
// request, because KubeSpawner would then delete the Pod that the first request created.
func TestJupyterHubWithoutWebhook(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.register(t)
	h := startHub(t, gatedHub, "baseline", hub.Options{Release: hub.KubeSpawner7})
	s := h.logIn(t, "user20", "")
	attempts := func(spawn func()) int {
		before := strings.Count(h.Log(), "Attempting to create pod")
		spawn()
		return strings.Count(h.Log(), "Attempting to create pod") - before
	}
	fails := func(t *testing.T, want string) {
		t.Helper()
		assert.Equal(t, 1, attempts(func() {
			assert.Contains(t, s.startDenied(t), want)
			assert.Contains(t, h.Log(), want)
		}))
	}
	// The API server uses new webhook configurations only after a moment. The gate is closed, so a Pod is denied once they
	// are in effect.
	require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
		result, err := cluster.carol.Kubectl(ctx, "run", "probe", "-n", gatedHub, "--image=x", "--labels=jupyter-user=alice",
			"--dry-run=server")
		return strings.Contains(result.Stderr, "failed calling webhook"), err
	}))
	t.Run("connection refused", func(t *testing.T) { fails(t, "connect: connection refused") })
	g.open(t)
	t.Run("no response", func(t *testing.T) {
		g.delay.Store(int64(time.Hour))
		fails(t, "context deadline exceeded")
	})
	t.Run("slow response", func(t *testing.T) {
		g.delay.Store(int64(time.Second / 2))
		assert.Equal(t, 1, attempts(func() { s.start(t, nil) }))
		assert.NotContains(t, h.Log(), "Found existing pod")
		s.assertOwnedBy(t, "user20")
		assert.NoError(t, s.Stop(t.Context(), ""))
	})
}
