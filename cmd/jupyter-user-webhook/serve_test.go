package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// process is a running "jupyter-user-webhook serve", with its log, its addresses and its certificate.
type process struct {
	*journal.Journal
	reviews, http string
	client        *http.Client
	pair          pki.Pair
	certs         string
}

func (p *process) waitUntilServing(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(p.String(), `"msg":"serving"`) && strings.HasSuffix(p.String(), "\n")
	}, machine.Patience, 5*time.Millisecond, p.String())
	line := p.Lines(t, "serving")[0]
	p.reviews, p.http = "https://"+line["reviews"].(string), "http://"+line["http"].(string)
	require.Eventually(t, func() bool {
		response, err := p.client.Get(p.http + "/readyz")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, machine.Patience, 5*time.Millisecond)
}

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{Journal: &journal.Journal{}, pair: pki.Make(t, time.Hour), certs: t.TempDir()}
	p.pair.Write(t, p.certs)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.pair.Roots()}}
	t.Cleanup(transport.CloseIdleConnections)
	p.client = &http.Client{Transport: transport, Timeout: machine.Patience}
	return p
}

func (p *process) args(more ...string) []string {
	return append([]string{"serve", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--drain=0s", "--cert-dir=" + p.certs}, more...)
}

// serve runs "jupyter-user-webhook serve" in the process of the test, until the function stop is called, which returns the
// exit status.
func serve(t *testing.T, more ...string) (p *process, stop func() int) {
	t.Helper()
	p = newProcess(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, p.args(more...), nil, io.Discard, p) }()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	p.waitUntilServing(t)
	return p, stop
}

func (p *process) get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := p.client.Get(url)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // the body is read to its end
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

const review = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"version":"v1","kind":"Pod"},` +
	`"operation":"CREATE","namespace":"science","name":"nb","object":` + aliceAsJSON + `}}`

func (p *process) admit(t *testing.T) string {
	t.Helper()
	response, err := p.client.Post(p.reviews+"/mutate", "application/json", strings.NewReader(review))
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // the body is read to its end
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestServe(t *testing.T) {
	p, stop := serve(t)

	status, body := p.get(t, p.http+"/healthz")
	assert.Equal(t, 200, status)
	assert.Equal(t, "ok\n", body)
	status, body = p.get(t, p.http+"/readyz")
	assert.Equal(t, 200, status)
	assert.Equal(t, "ok\n", body)

	assert.Contains(t, p.admit(t), `"uid":"u-1","allowed":true`)
	assert.Len(t, p.Lines(t, "admission"), 1)

	status, body = p.get(t, p.http+"/metrics")
	assert.Equal(t, 200, status)
	assert.Contains(t, body, `jupyter_user_admissions_total{discovery="AtStart",outcome="injected",reason="",review="mutate"} 1`+"\n")
	assert.Contains(t, body, "certwatcher_read_certificate_total", "controller-runtime's metrics are included")
	assert.Contains(t, body, "go_goroutines")
	assert.Contains(t, body, `jupyter_user_build_info{goversion="`+runtime.Version()+`",revision="`)
	assert.Contains(t, body, `,version="dev"} 1`+"\n")
	assert.Regexp(t, `\njupyter_user_configuration_info{generation="[0-9a-f]{12}",mode="Enforce"} 1\n`, body)

	for _, url := range []string{p.http + "/mutate", p.http + "/", p.reviews + "/metrics", p.reviews + "/healthz", p.reviews + "/"} {
		status, _ = p.get(t, url)
		assert.Equal(t, 404, status, "%s is not served there", url)
	}
	assert.Zero(t, stop(), p.String())
	assert.Len(t, p.Lines(t, "draining"), 1)
}

// TestServeWarnMode tests that a process in Warn mode logs the mode once, exposes it in a metric, and does not change Pods.
func TestServeWarnMode(t *testing.T) {
	p, stop := serve(t, "--config="+file(t, "config.yaml", "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\nmode: Warn\n"))
	response := p.admit(t)
	assert.Contains(t, response, `"allowed":true`)
	assert.Contains(t, response, "would become a notebook of alice (AtStart): the webhook is in mode Warn")
	assert.NotContains(t, response, `"patch"`)
	_, body := p.get(t, p.http+"/metrics")
	assert.Regexp(t, `\njupyter_user_configuration_info{generation="[0-9a-f]{12}",mode="Warn"} 1\n`, body)
	assert.Zero(t, stop())
	assert.Len(t, p.Lines(t, "mode Warn: nothing is changed and nothing is denied, so a labelled Pod does not run as its user yet"), 1)
}

// TestServeLogsConfigurationOnce tests that the log has the configuration once, with the keys of the configuration file.
func TestServeLogsConfigurationOnce(t *testing.T) {
	config := file(t, "config.yaml", "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\nshare:\n  claimName: our-share\n"+
		"notebook:\n  resources:\n    limits:\n      memory: 3.5Gi\n")
	p, stop := serve(t, "--config="+config)
	p.admit(t)
	p.admit(t)
	assert.Zero(t, stop())

	lines := p.Lines(t, "serving")
	require.Len(t, lines, 1)
	assert.Equal(t, "dev", lines[0]["version"])
	assert.Regexp(t, `\A[0-9a-f]{12}\z`, lines[0]["generation"])
	logged := lines[0]["configuration"].(map[string]any)
	assert.Equal(t, "our-share", logged["share"].(map[string]any)["claimName"], "the configured value")
	assert.Equal(t, "hpc-shared-volume", logged["share"].(map[string]any)["volumeName"], "beside the default")
	assert.Equal(t, "16Mi", logged["scratch"].(map[string]any)["sizeLimit"])
	assert.Equal(t, map[string]any{"memory": "3584Mi"}, logged["notebook"].(map[string]any)["resources"].(map[string]any)["limits"])
	assert.Equal(t, 1, strings.Count(p.String(), "our-share"), "only once, at the start")

	admitted := annotations(t, command(t, alice, "inject", "-f", "-", "--config", config).out)
	assert.Equal(t, lines[0]["generation"], admitted["jupyter-user.io/config"], "the Pod's annotation and the log have the same generation")
}

func TestServeTwiceInOneProcess(t *testing.T) {
	first, stopFirst := serve(t)
	second, stopSecond := serve(t)
	first.admit(t)
	_, body := second.get(t, second.http+"/metrics")
	assert.Contains(t, body, `jupyter_user_admissions_total{discovery="AtStart",outcome="injected",reason="",review="mutate"} 0`+"\n", "each server has its own counters")
	assert.Zero(t, stopFirst())
	assert.Zero(t, stopSecond())
}

func TestServeNewCertificate(t *testing.T) {
	p, stop := serve(t)
	assert.InDelta(t, time.Now().Add(time.Hour).Unix(), p.certificateExpiry(t), 60)
	next := pki.Make(t, 2*time.Hour)
	next.Write(t, p.certs)
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(p.reviews, "https://"), &tls.Config{RootCAs: next.Roots()})
		return err == nil && conn.Close() == nil
	}, machine.Patience, 10*time.Millisecond)
	assert.InDelta(t, time.Now().Add(2*time.Hour).Unix(), p.certificateExpiry(t), 60, "the expiry of the new certificate")
	assert.Zero(t, stop())
}

func (p *process) certificateExpiry(t *testing.T) (seconds float64) {
	t.Helper()
	_, body := p.get(t, p.http+"/metrics")
	_, rest, found := strings.Cut(body, "\njupyter_user_certificate_expiry_timestamp_seconds ")
	require.True(t, found)
	_, err := fmt.Sscan(rest, &seconds)
	require.NoError(t, err)
	return seconds
}

func TestServeExpiredCertificate(t *testing.T) {
	p, stop := serve(t)
	pki.Make(t, -time.Minute).Write(t, p.certs)
	require.Eventually(t, func() bool {
		status, _ := p.get(t, p.http+"/readyz")
		return status == 503
	}, machine.Patience, 10*time.Millisecond)
	_, body := p.get(t, p.http+"/readyz")
	assert.Contains(t, body, "the serving certificate is valid from ")
	status, _ := p.get(t, p.http+"/healthz")
	assert.Equal(t, 200, status, "a restart would not help")
	assert.Zero(t, stop())
}

// TestServeWaitsForCertificate tests that a process without a certificate does not end, and is ready once it has the certificate.
func TestServeWaitsForCertificate(t *testing.T) {
	p := newProcess(t)
	require.NoError(t, os.RemoveAll(p.certs))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, p.args(), nil, io.Discard, p) }()
	require.Eventually(t, func() bool {
		return strings.Contains(p.String(), `"msg":"waiting for the serving certificate"`) && strings.Contains(p.String(), `"msg":"serving"`)
	}, machine.Patience, 5*time.Millisecond, p.String())
	at := "http://" + p.Lines(t, "serving")[0]["http"].(string)
	require.Eventually(t, func() bool {
		status, body := p.get(t, at+"/readyz")
		return status == 503 && body == "waiting for the serving certificate: the log says what to look at\n"
	}, machine.Patience, 5*time.Millisecond)
	status, _ := p.get(t, at+"/healthz")
	assert.Equal(t, 200, status, "a restart would not help")

	require.NoError(t, os.Mkdir(p.certs, 0o700))
	p.pair.Write(t, p.certs)
	p.waitUntilServing(t)
	assert.Contains(t, p.admit(t), `"uid":"u-1","allowed":true`)
	cancel()
	assert.Zero(t, <-ended, p.String())
}

// TestServeOnlyAPIServers tests that a client without an API server's certificate gets no response to a review. /readyz needs no
// such certificate.
func TestServeOnlyAPIServers(t *testing.T) {
	authority := pki.Make(t, time.Hour)
	apiServer, err := authority.Issue(time.Hour, "kube-apiserver")
	require.NoError(t, err)
	p, stop := serve(t, "--client-ca-file="+file(t, "ca.crt", string(authority.Cert)), "--client-name=kube-apiserver")
	_, err = p.client.Post(p.reviews+"/mutate", "application/json", strings.NewReader(review))
	assert.Error(t, err)
	assert.Empty(t, p.Lines(t, "admission"))

	p.client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{*apiServer.TLS(t)}
	assert.Contains(t, p.admit(t), `"uid":"u-1","allowed":true`)
	assert.Zero(t, stop(), p.String())
}

func TestServeFaults(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close() //nolint:errcheck // nothing is sent
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"an unknown log level": {[]string{"--log-level=loud"}, `Error: --log-level "loud" is none of debug, info, warn, error`},
		"a log level of slog":  {[]string{"--log-level=debug-4"}, `Error: --log-level "debug-4" is none of`},
		"no configuration":     {[]string{"--config=" + filepath.Join(t.TempDir(), "x")}, "Error: read the configuration: open "},
		"a bad configuration":  {[]string{"--config=" + file(t, "c.yaml", "kind: x\n")}, "Error: the configuration "},
		"a discovery without a source": {[]string{"--config=" + file(t, "c.yaml", "apiVersion: jupyter-user.io/v1alpha1\n"+
			"kind: WebhookConfiguration\nidentity:\n  discovery: AtAdmission\n")}, "Error: the configuration says identity.discovery: AtAdmission"},
		"no directory of homes":               {[]string{"--share=/nowhere"}, "Error: --share: the directory of the homes: open /nowhere/home/.: no such file"},
		"no time for the share":               {[]string{"--share=/", "--homes-wait=0s"}, "Error: --homes-wait 0s is not from 1ms to 600ms"},
		"too much time for the share":         {[]string{"--share=/", "--homes-wait=2s"}, "Error: --homes-wait 2s is not from 1ms to 600ms"},
		"no passwd":                           {[]string{"--passwd=/nowhere"}, "Error: --passwd: "},
		"a passwd with a mistake":             {[]string{"--passwd=" + file(t, "p", "alice:x:5001\n")}, "Error: --passwd: "},
		"a group without passwd":              {[]string{"--group=/etc/group"}, "Error: --group has the members of groups, and needs --passwd"},
		"a port that is taken":                {[]string{"--listen=" + taken.Addr().String()}, "Error: listen for reviews: listen tcp"},
		"a taken port for health and metrics": {[]string{"--http-listen=" + taken.Addr().String()}, "Error: listen for health and metrics: listen tcp"},
		"a peer without a port":               {[]string{"--peers=replicas"}, `Error: --peers: the peer "replicas" is not host:port`},
		"no authorities":                      {[]string{"--client-ca-file=/nowhere"}, "Error: --client-ca-file: read the authorities of clients: stat /nowhere"},
		"a file without authorities": {[]string{"--client-ca-file=" + file(t, "ca.crt", "MARK")},
			"Error: --client-ca-file: there is no certificate in the file "},
		"a client without authorities": {[]string{"--client-name=kube-apiserver"},
			"Error: --client-name restricts the accepted client certificates, and needs --client-ca-file"},
		"a client without a name": {[]string{"--client-ca-file=/nowhere", "--client-name=kube-apiserver,"},
			"Error: --client-ca-file: the name of a client is empty"},
		"no address": {[]string{"--listen=nowhere"}, "Error: listen for reviews: listen tcp: address nowhere: missing port"},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, "", newProcess(t).args(c.args...)...)
			assert.Equal(t, 2, got.status)
			assert.Empty(t, got.out)
			last := got.stderr[strings.LastIndex(strings.TrimSuffix(got.stderr, "\n"), "\n")+1:]
			if !strings.Contains(got.stderr, "the configuration") {
				assert.True(t, strings.HasPrefix(last, c.says), got.stderr)
			}
			assert.Contains(t, got.stderr, c.says)
			assert.NotContains(t, got.stderr, `"msg":"serving"`)
		})
	}
}

// TestServeDrains runs the program as a process. After SIGTERM or SIGINT the process is not ready, still serves for the
// time of --drain, and ends with status 0.
func TestServeDrains(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := newProcess(t)
			self, err := os.Executable()
			require.NoError(t, err)
			program := exec.Command(self, p.args("--drain=1s")...)
			program.Env = append(os.Environ(), "BE_JUPYTER_USER_WEBHOOK=1")
			program.Stderr = p
			require.NoError(t, program.Start())
			ended := make(chan error, 1)
			go func() { ended <- program.Wait() }()
			t.Cleanup(func() { _ = program.Process.Kill() })
			p.waitUntilServing(t)

			require.NoError(t, program.Process.Signal(signal))
			require.Eventually(t, func() bool {
				status, body := p.get(t, p.http+"/readyz")
				return status == 503 && body == "draining\n"
			}, machine.Patience, time.Millisecond)
			assert.Contains(t, p.admit(t), `"allowed":true`)
			select {
			case err := <-ended:
				assert.NoError(t, err, p.String())
			case <-time.After(machine.Patience):
				t.Error("the process has not ended")
			}
		})
	}
}
