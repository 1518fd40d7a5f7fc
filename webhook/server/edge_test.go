package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// edge is the HTTP handler of the webhook, as the API server calls it but without TLS.
type edge struct {
	http.Handler
	log      *journal.Journal
	registry *prometheus.Registry
}

func newEdge(t testing.TB, identities webhook.Identities) *edge {
	t.Helper()
	return newEdgeOf(t, config.Default(), identities, nil)
}

func newEdgeOf(t testing.TB, c *config.Config, identities webhook.Identities, peers *server.Peers) *edge {
	t.Helper()
	e := &edge{log: &journal.Journal{}, registry: prometheus.NewRegistry()}
	metrics, err := server.NewMetrics(e.registry)
	require.NoError(t, err)
	e.Handler = server.NewHandler(webhook.New(c, identities), slog.New(slog.NewJSONHandler(e.log, nil)), metrics, peers)
	return e
}

// reply is the AdmissionReview of a response. It does not use the types with which the webhook writes the response.
type reply struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Response   struct {
		UID       string   `json:"uid"`
		Allowed   bool     `json:"allowed"`
		Patch     string   `json:"patch"`
		PatchType string   `json:"patchType"`
		Warnings  []string `json:"warnings"`
		Status    struct {
			Status  string `json:"status"`
			Code    int    `json:"code"`
			Reason  string `json:"reason"`
			Message string `json:"message"`
			Details struct {
				Kind   string `json:"kind"`
				Causes []struct {
					Reason  string `json:"reason"`
					Field   string `json:"field"`
					Message string `json:"message"`
				} `json:"causes"`
			} `json:"details"`
		} `json:"status"`
		AuditAnnotations map[string]string `json:"auditAnnotations"`
	} `json:"response"`
}

func (r reply) operations(t *testing.T) (ops []map[string]any) {
	t.Helper()
	patch, err := base64.StdEncoding.DecodeString(r.Response.Patch)
	require.NoError(t, err)
	if len(patch) > 0 {
		require.NoError(t, json.Unmarshal(patch, &ops))
	}
	return ops
}

// post sends a body as an API server does, and decodes the response.
func (e *edge) post(t *testing.T, path, body string) (status int, r reply) {
	t.Helper()
	return e.send(t, request(path, body))
}

func request(path, body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	return req
}

func (e *edge) send(t *testing.T, req *http.Request) (status int, r reply) {
	t.Helper()
	recorder := httptest.NewRecorder()
	e.ServeHTTP(recorder, req)
	return recorder.Code, read(t, recorder.Result())
}

func read(t *testing.T, response *http.Response) (r reply) {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if response.StatusCode == http.StatusOK {
		assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
		require.NoError(t, json.Unmarshal(body, &r), string(body))
	}
	return r
}

// review returns a review of the creation of a Pod, as an API server writes it.
func review(pod string) string {
	return reviewOf("CREATE", "", `{"group":"","version":"v1","kind":"Pod"}`, pod)
}

func reviewOf(operation, subresource, kind, object string) string {
	return fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{
		"uid":"0d8f6cb5-7a3f-4f3a-9c0e-3f1d6f6e1a11","kind":%s,"resource":{"group":"","version":"v1","resource":"pods"},
		"subResource":%q,"name":"nb","namespace":"science","operation":%q,"userInfo":{"username":"qiang","groups":["g"]},
		"object":%s,"oldObject":null,"dryRun":false,"options":null}}`, kind, subresource, operation, object)
}

const uid = "0d8f6cb5-7a3f-4f3a-9c0e-3f1d6f6e1a11"

// document returns a Pod. metadata are further fields of the metadata, with a leading comma; spec are the fields of the
// spec.
func document(metadata, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","namespace":"science"%s},"spec":{%s}}`, metadata, spec)
}

const (
	forQiang     = `,"labels":{"jupyter-user":"qiang.guo03"}`
	oneContainer = `"containers":[{"name":"nb","image":"notebook"}]`
)

var notebook = document(forQiang, oneContainer)
