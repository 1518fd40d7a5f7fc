package rotation

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pages"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// The namespace, the DNS name of the Service, and the Secret with the certificate, as in the shipped manifests.
const (
	namespace   = "jupyter-user-system"
	serviceDNS  = "jupyter-user-webhook.jupyter-user-system.svc"
	mountedName = "jupyter-user-webhook-certs"
)

// patience is the longest time that a test waits for a condition.
const patience = machine.Patience

// A cluster is an API server with the objects of the chart. The API server calls two replicas of the webhook.
type cluster struct {
	*controlplane.ControlPlane
	client  kubernetes.Interface
	service *service
	// apiServer is the client certificate that the API server presents to webhooks. authority is the CA that signed it.
	apiServer, authority pki.Pair
}

// program returns the path of the webhook's program. It builds the program at the first call.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "jupyter-user-webhook-rotation-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "jupyter-user-webhook")
	output, err := exec.Command("go", "build", "-o", path, "../../cmd/jupyter-user-webhook").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

// newCluster starts an API server and installs the chart with some values. Before the chart, it installs the
// CustomResourceDefinitions in crdFolder, unless this path is empty.
func newCluster(t *testing.T, crdFolder string, values ...string) *cluster {
	t.Helper()
	w := &cluster{service: newService(t), authority: pki.Make(t, time.Hour)}
	var err error
	w.apiServer, err = w.authority.Issue(time.Hour, "kube-apiserver")
	require.NoError(t, err)
	w.ControlPlane, err = controlplane.Start(t.Context(), controlplane.Options{Progress: t.Output(), Flags: map[string][]string{
		"egress-selector-config-file":   {w.service.egress.File},
		"admission-control-config-file": {admissionConfiguration(t, w.apiServer)},
		"service-cluster-ip-range":      {"203.0.113.0/24"},
	}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.Stop()) })
	w.client, err = kubernetes.NewForConfig(w.Admin.Config)
	require.NoError(t, err)
	require.NoError(t, w.Namespace(t.Context(), "lab", nil))
	if crdFolder != "" {
		require.NoError(t, w.Admin.Do(t.Context(), "", "apply", "-f", crdFolder))
		require.NoError(t, w.Admin.Do(t.Context(), "", "wait", "--for=condition=Established", "crd", "--all"))
	}
	require.NoError(t, w.Admin.Do(t.Context(), rendered(t, values...), "apply", "-f", "-"))
	return w
}

// rendered returns the objects of the chart with some values, but without the policies and the hooks, which these tests do
// not test.
func rendered(t *testing.T, values ...string) string {
	t.Helper()
	built, err := tools.Build(t.Context(), t.Output(), tools.Helm)
	require.NoError(t, err)
	arguments := []string{"template", "jupyter-user-webhook", "../../deploy/chart", "--namespace", namespace, "--set", "createNamespace=true"}
	for _, value := range values {
		arguments = append(arguments, "--set", value)
	}
	command := exec.CommandContext(t.Context(), built[tools.Helm], arguments...)
	command.Stderr = t.Output()
	text, err := command.Output()
	require.NoError(t, err)
	var kept []string
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		if !strings.Contains(document, "kind: ValidatingAdmissionPolicy") && !strings.Contains(document, "helm.sh/hook") {
			kept = append(kept, document)
		}
	}
	// The tests are about certificates. A webhook that takes more than two seconds on a busy machine must not fail them.
	return strings.ReplaceAll(strings.Join(kept, "\n---\n"), "timeoutSeconds: 2\n", "timeoutSeconds: 20\n")
}

// admissionConfiguration writes the two files of deploy/docs/runbook.md with which the API server presents a client
// certificate to webhooks: admission.yaml and webhooks.kubeconfig. It returns the path of admission.yaml.
func admissionConfiguration(t *testing.T, certificate pki.Pair) (file string) {
	t.Helper()
	dir := t.TempDir()
	certificate.Write(t, dir)
	here := strings.NewReplacer("/etc/kubernetes/pki/webhooks.crt", dir+"/tls.crt", "/etc/kubernetes/pki/webhooks.key", dir+"/tls.key",
		"/etc/kubernetes/", dir+"/")
	for _, block := range pages.YAML(t) {
		for kind, name := range map[string]string{"kind: AdmissionConfiguration": "admission.yaml", "kind: Config\n": "webhooks.kubeconfig"} {
			if strings.Contains(block.Text, kind) {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(here.Replace(block.Text)), 0o600))
			}
		}
	}
	return filepath.Join(dir, "admission.yaml")
}

// run starts a program, which runs until the test ends or kill is called. It returns the program's log.
func run(t *testing.T, name string, arguments ...string) (log *journal.Journal, kill func()) {
	t.Helper()
	log = &journal.Journal{}
	command := exec.Command(name, arguments...)
	command.Stderr = log
	require.NoError(t, command.Start())
	kill = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			last := log.String()
			t.Logf("the end of the log of %s:\n%s", filepath.Base(name), last[max(0, len(last)-8<<10):])
		}
	})
	return log, kill
}

// secret returns a Secret of the webhook's namespace, or an empty Secret if it cannot be read.
func (w *cluster) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	found, err := w.client.CoreV1().Secrets(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return &corev1.Secret{}
	}
	return found
}

func (w *cluster) remove(t *testing.T, secret string) {
	t.Helper()
	require.NoError(t, w.client.CoreV1().Secrets(namespace).Delete(t.Context(), secret, metav1.DeleteOptions{}))
}

// bundles returns the caBundle of each webhook of our MutatingWebhookConfiguration and ValidatingWebhookConfiguration, or
// nil if one of the two objects cannot be read.
func (w *cluster) bundles(t *testing.T) (found []string) {
	t.Helper()
	api := w.client.AdmissionregistrationV1()
	mutating, err := api.MutatingWebhookConfigurations().Get(t.Context(), "00-jupyter-user-webhook", metav1.GetOptions{})
	if err != nil {
		return nil
	}
	validating, err := api.ValidatingWebhookConfigurations().Get(t.Context(), "jupyter-user-webhook", metav1.GetOptions{})
	if err != nil {
		return nil
	}
	clients := []admissionv1.WebhookClientConfig{}
	for _, entry := range mutating.Webhooks {
		clients = append(clients, entry.ClientConfig)
	}
	for _, entry := range validating.Webhooks {
		clients = append(clients, entry.ClientConfig)
	}
	for _, c := range clients {
		found = append(found, string(c.CABundle))
	}
	return found
}

func exactlyOne(n int) bool { return n == 1 }

func atLeast(wanted int) func(int) bool { return func(n int) bool { return n >= wanted } }

// trusts reports whether every caBundle trusts the certificate of every replica, and has a number of CAs for which
// acceptsCount returns true.
func (w *cluster) trusts(t *testing.T, acceptsCount func(int) bool) bool {
	t.Helper()
	bundles := w.bundles(t)
	for _, bundle := range bundles {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(bundle)) || !acceptsCount(strings.Count(bundle, "BEGIN CERTIFICATE")) {
			return false
		}
		for _, replica := range w.service.replicas {
			leaf := replica.servedCertificate()
			if leaf == nil {
				return false
			}
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: serviceDNS, Roots: roots}); err != nil {
				return false
			}
		}
	}
	return len(bundles) == 5
}

// served reports whether every replica serves the Secret's certificate.
func (w *cluster) served(t *testing.T) bool {
	t.Helper()
	block, _ := pem.Decode(w.secret(t, mountedName).Data["tls.crt"])
	if block == nil {
		return false
	}
	for _, replica := range w.service.replicas {
		if leaf := replica.servedCertificate(); leaf == nil || string(leaf.Raw) != string(block.Bytes) {
			return false
		}
	}
	return true
}
