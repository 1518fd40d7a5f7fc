package server_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

func TestInject(t *testing.T) {
	e := newEdge(t, nil)
	status, r := e.post(t, "/mutate", review(notebook))
	assert.Equal(t, 200, status)
	assert.Equal(t, "admission.k8s.io/v1", r.APIVersion)
	assert.Equal(t, "AdmissionReview", r.Kind)
	assert.Equal(t, uid, r.Response.UID)
	assert.True(t, r.Response.Allowed)
	assert.Equal(t, "JSONPatch", r.Response.PatchType)
	assert.NotEmpty(t, r.operations(t))
	assert.Empty(t, r.Response.Warnings)
	assert.Equal(t, map[string]string{"requester": "qiang", "user": "qiang.guo03", "discovery": "AtStart"}, r.Response.AuditAnnotations)

	lines := e.log.Lines(t, "")
	require.Len(t, lines, 1)
	assert.Equal(t, "admission", lines[0]["msg"])
	assert.Equal(t, "INFO", lines[0]["level"])
	assert.Equal(t, "injected", lines[0]["outcome"])
	assert.Equal(t, uid, lines[0]["uid"])
	assert.Equal(t, "science", lines[0]["namespace"])
	assert.Equal(t, "nb", lines[0]["pod"])
	assert.Equal(t, "qiang", lines[0]["requester"])
	assert.Equal(t, "qiang.guo03", lines[0]["user"])
	assert.Equal(t, "AtStart", lines[0]["discovery"])
	assert.Equal(t, false, lines[0]["dryRun"])
}

// TestIgnoredReviews tests reviews that every path allows without a patch.
func TestIgnoredReviews(t *testing.T) {
	podKind := `{"group":"","version":"v1","kind":"Pod"}`
	for name, body := range map[string]string{
		"no label":                  review(document("", oneContainer)),
		"other labels":              review(document(`,"labels":{"app":"x"}`, oneContainer)),
		"a share without the label": review(document("", oneContainer+`,"volumes":[{"name":"hpc-shared-volume","nfs":{"server":"x","path":"/"}}]`)),
		"UPDATE":                    reviewOf("UPDATE", "", podKind, notebook),
		"DELETE":                    reviewOf("DELETE", "", podKind, "null"),
		"CONNECT":                   reviewOf("CONNECT", "exec", `{"group":"","version":"v1","kind":"PodExecOptions"}`, `{}`),
		"pods/status":               reviewOf("UPDATE", "status", podKind, notebook),
		"pods/resize":               reviewOf("UPDATE", "resize", podKind, notebook),
		"pods/ephemeralcontainers":  reviewOf("UPDATE", "ephemeralcontainers", podKind, notebook),
		"pods/binding":              reviewOf("CREATE", "binding", `{"group":"","version":"v1","kind":"Binding"}`, `{"kind":"Binding"}`),
		"pods/eviction":             reviewOf("CREATE", "eviction", `{"group":"policy","version":"v1","kind":"Eviction"}`, `{"kind":"Eviction"}`),
		"unknown fields of an unlabelled Pod": review(`{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{"containers":[{"name":"nb","image":"notebook",
			"future":{"a":[1,2]}}],"future":true},"future":1e400}`),
	} {
		for _, path := range []string{"/mutate", "/mutate/restricted", "/verify", "/verify/peer"} {
			t.Run(name+" at "+path, func(t *testing.T) {
				e := newEdge(t, nil)
				status, r := e.post(t, path, body)
				assert.Equal(t, 200, status)
				assert.True(t, r.Response.Allowed)
				assert.Empty(t, r.Response.Patch)
				assert.Empty(t, r.Response.PatchType)
				assert.Empty(t, r.Response.Warnings)
				assert.Empty(t, r.Response.AuditAnnotations)
				assert.Equal(t, uid, r.Response.UID)
				lines := e.log.Lines(t, "")
				require.Len(t, lines, 1)
				assert.Equal(t, "ignored", lines[0]["outcome"])
			})
		}
	}
}

// TestMalformedReviews tests reviews that no API server sends, and unreadable Pods. Each gets an AdmissionReview as response and
// one log line, and the next valid review is handled as usual.
func TestMalformedReviews(t *testing.T) {
	for name, c := range map[string]struct {
		body, reason, want string
		code               int
		uid                string
	}{
		"an empty body":     {"", "NotAReview", "the body is empty", 400, ""},
		"white space":       {" \r\n\t", "NotAReview", "the body is not a JSON object", 400, ""},
		"no JSON":           {"review", "NotAReview", "the body is not a JSON object", 400, ""},
		"a list":            {"[" + review(notebook) + "]", "NotAReview", "the body is not a JSON object", 400, ""},
		"null":              {"null", "NotAReview", "the body is not a JSON object", 400, ""},
		"YAML":              {"kind: AdmissionReview\n", "NotAReview", "the body is not a JSON object", 400, ""},
		"protobuf":          {"k8s\x00" + review(notebook), "NotAReview", "the body is not a JSON object", 400, ""},
		"incomplete review": {review(notebook)[:300], "NotAReview", "unexpected EOF", 400, uid},
		"two reviews":       {review(notebook) + review(notebook), "NotAReview", "after top-level value", 400, uid},
		"YAML in braces":    {"{kind: AdmissionReview}", "NotAReview", "invalid character 'k'", 400, ""},
		"a request that is text": {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":"x"}`, "NotAReview",
			"request has a string where it needs a map", 400, ""},
		"a million levels of lists":     {review(strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)), "NotAReview", "max depth", 400, uid},
		"half a million levels of maps": {strings.Repeat(`{"a":`, 500_000), "NotAReview", "max depth", 400, ""},
		"a review without a request": {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`, "NotAPodReview",
			"this path reviews Pods, not an empty review", 400, ""},
		"a request of null": {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}`, "NotAPodReview",
			"this path reviews Pods, not an empty review", 400, ""},
		"an empty object": {`{}`, "NotAPodReview", "this path reviews Pods, not an empty review", 400, ""},
		"a Pod":           {notebook, "NotAPodReview", "this path reviews Pods, not an empty review", 400, ""},
		"a REQUEST":       {strings.Replace(review(notebook), `"request"`, `"REQUEST"`, 1), "NotAPodReview", "not an empty review", 400, ""},
		"a ConfigMap": {reviewOf("CREATE", "", `{"group":"","version":"v1","kind":"ConfigMap"}`, `{"apiVersion":"v1","kind":"ConfigMap"}`),
			"NotAPodReview", "this path reviews Pods, not v1 ConfigMap", 400, uid},
		"another group's Pod": {reviewOf("CREATE", "", `{"group":"metrics.k8s.io","version":"v1","kind":"Pod"}`, notebook),
			"NotAPodReview", "this path reviews Pods, not metrics.k8s.io/v1 Pod", 400, uid},
		"another version's Pod": {reviewOf("CREATE", "", `{"group":"","version":"v2","kind":"Pod"}`, notebook),
			"NotAPodReview", "this path reviews Pods, not v2 Pod", 400, uid},
		"null as pod":   {review("null"), "PodUnreadable", "this is not a Pod that can be read: it is missing", 400, uid},
		"a list as pod": {review("[]"), "PodUnreadable", "the document has a list where it needs a map", 400, uid},
		"text as pod":   {review(`"x"`), "PodUnreadable", "the document has a string where it needs a map", 400, uid},
		"an empty pod":  {review("{}"), "PodUnreadable", `it has apiVersion "" and kind ""`, 400, uid},
		"a ConfigMap as pod": {review(`{"apiVersion":"v1","kind":"ConfigMap"}`), "PodUnreadable",
			`it has apiVersion "v1" and kind "ConfigMap"`, 400, uid},
		"labels of numbers": {review(document(`,"labels":{"jupyter-user":1}`, oneContainer)), "PodUnreadable",
			"metadata.labels.jupyter-user has a number where it needs a string", 400, uid},
		"labels in a list": {review(document(`,"labels":["jupyter-user"]`, oneContainer)), "PodUnreadable",
			"metadata.labels has a list where it needs a map", 400, uid},
		"containers in a map": {review(document(forQiang, `"containers":{}`)), "PodUnreadable",
			"spec.containers has a map where it needs a list", 400, uid},
		"a UID that is text": {review(document(forQiang, `"containers":[{"name":"nb","securityContext":{"runAsUser":"0"}}]`)), "PodUnreadable",
			"spec.containers[0].securityContext.runAsUser has a string where it needs a whole number", 400, uid},
		"a UID with a fraction": {review(document(forQiang, `"containers":[{"name":"nb","securityContext":{"runAsUser":0.5}}]`)), "PodUnreadable",
			"runAsUser has a number where it needs a whole number", 400, uid},
		"a UID of 80 bits": {review(document(forQiang, `"containers":[{"name":"nb","securityContext":{"runAsUser":1208925819614629174706176}}]`)),
			"PodUnreadable", "runAsUser has a number where it needs a whole number", 400, uid},
		"duplicate label": {review(document(`,"labels":{"jupyter-user":"alice","jupyter-user":"bob"}`, oneContainer)), "PodUnreadable",
			`duplicate field "metadata.labels.jupyter-user"`, 400, uid},
		"two duplicate fields": {review(document(forQiang+forQiang, oneContainer+","+oneContainer)), "PodUnreadable",
			`duplicate field "metadata.labels"`, 400, uid},
		"duplicate unknown field": {review(document(forQiang, oneContainer+`,"future":{"a":1,"a":2}`)), "PodUnreadable",
			`duplicate field "spec.future.a"`, 400, uid},
		"duplicate field of the review": {strings.Replace(review(notebook), `"dryRun":false`, `"dryRun":false,"dryRun":true`, 1), "NotAReview",
			`duplicate field "request.dryRun"`, 400, uid},
		"two requests": {strings.Replace(review(notebook), `"request":`, `"request":{"uid":"0d8f6cb5-7a3f-4f3a-9c0e-3f1d6f6e1a11"},"request":`, 1),
			"NotAReview", `duplicate field "request"`, 400, uid},
		"invalid UTF-8":         {review(document(forQiang, oneContainer+",\"future\":\"\xff\"")), "NotAReview", "invalid UTF-8", 400, uid},
		"half a surrogate pair": {review(document(forQiang, oneContainer+`,"future":"\ud800"`)), "NotAReview", "invalid surrogate pair", 400, uid},
		"duplicate field of a container": {review(document(forQiang, `"containers":[{"name":"nb","name":"x"}]`)), "PodUnreadable",
			`duplicate field "spec.containers[0].name"`, 400, uid},
		"SPEC instead of spec": {review(`{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"jupyter-user":"alice"}},
			"SPEC":{"containers":[{"name":"nb"}]}}`), "NoContainer", "the pod has no container", 422, uid},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			watch := machine.WatchDuring(t)
			began := time.Now()
			status, r := e.post(t, "/mutate", c.body)
			watch.Within(t, time.Since(began), 3*time.Second, "a response, before KubeSpawner's client gives up")
			assert.Equal(t, 200, status)
			assert.False(t, r.Response.Allowed)
			assert.Empty(t, r.Response.Patch)
			assert.Equal(t, c.code, r.Response.Status.Code)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
			assert.Equal(t, c.uid, r.Response.UID)
			assert.Contains(t, r.Response.Status.Message, c.want)
			assert.NotContains(t, r.Response.Status.Message, "\n")

			lines := e.log.Lines(t, "")
			require.Len(t, lines, 1, "one log line: %v", lines)
			assert.Equal(t, "denied", lines[0]["outcome"])
			assert.Equal(t, []any{c.reason}, lines[0]["reasons"])

			_, r = e.post(t, "/mutate", review(notebook))
			assert.True(t, r.Response.Allowed)
			assert.NotEmpty(t, r.operations(t))
		})
	}
}

func TestContentType(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/yaml", "application/vnd.kubernetes.protobuf", "APPLICATION/JSON"} {
		t.Run(contentType, func(t *testing.T) {
			e := newEdge(t, nil)
			req := request("/mutate", review(notebook))
			req.Header.Set("Content-Type", contentType)
			status, r := e.send(t, req)
			assert.Equal(t, 200, status)
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, 400, r.Response.Status.Code)
			assert.Equal(t, "NotAReview", r.Response.Status.Reason)
			assert.Len(t, e.log.Lines(t, "admission"), 1)
		})
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		status       int
	}{
		"GET":                  {http.MethodGet, "/mutate", 405},
		"HEAD":                 {http.MethodHead, "/mutate", 405},
		"PUT":                  {http.MethodPut, "/mutate", 405},
		"DELETE":               {http.MethodDelete, "/mutate/restricted", 405},
		"PRI":                  {"PRI", "/mutate", 405},
		"the root":             {http.MethodPost, "/", 404},
		"another path":         {http.MethodPost, "/validate", 404},
		"a path below":         {http.MethodPost, "/mutate/baseline", 404},
		"a trailing slash":     {http.MethodPost, "/mutate/", 404},
		"the metrics":          {http.MethodGet, "/metrics", 404},
		"the profiler":         {http.MethodGet, "/debug/pprof/", 404},
		"the path in capitals": {http.MethodPost, "/MUTATE", 404},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			req := httptest.NewRequest(c.method, c.path, strings.NewReader(review(notebook)))
			req.Header.Set("Content-Type", "application/json")
			recorder := httptest.NewRecorder()
			e.ServeHTTP(recorder, req)
			assert.Equal(t, c.status, recorder.Code)
			assert.NotContains(t, recorder.Body.String(), "patch")
			assert.Empty(t, e.log.String())
		})
	}
}

// TestTooLarge tests that a body larger than any review is denied after its first 4 MiB. The response must have the uid of the
// review, which an API server sends in this part.
func TestTooLarge(t *testing.T) {
	large := review(document(forQiang, `"containers":[{"name":"nb","args":["`+strings.Repeat("MARK", 2<<20)+`"]}]`))
	for name, c := range map[string]struct {
		body   string
		length int64
		uid    string
	}{
		"8 MiB of review":          {large, int64(len(large)), uid},
		"8 MiB of review, chunked": {large, -1, uid},
		"8 MiB of white space":     {strings.Repeat(" ", 8<<20), 8 << 20, ""},
		"8 MiB of braces":          {strings.Repeat("{", 8<<20), -1, ""},
		"8 MiB of YAML":            {strings.Repeat("- #\n", 2<<20), -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			req := request("/mutate", c.body)
			req.ContentLength = c.length
			_, r := e.send(t, req)
			assert.Equal(t, "AdmissionReview", r.Kind)
			assert.Equal(t, "admission.k8s.io/v1", r.APIVersion)
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, 413, r.Response.Status.Code)
			assert.Equal(t, "TooLarge", r.Response.Status.Reason)
			assert.Equal(t, c.uid, r.Response.UID)
			assert.NotContains(t, r.Response.Status.Message, "\n")

			lines := e.log.Lines(t, "")
			require.Len(t, lines, 1)
			assert.Equal(t, []any{"TooLarge"}, lines[0]["reasons"])
			assert.Less(t, len(e.log.String()), 1000)
		})
	}
}

// TestLargestReview tests a Pod of 3 MiB, the limit of an API server.
func TestLargestReview(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(document(forQiang, `"containers":[{"name":"nb","args":["`+strings.Repeat("x", 3<<20)+`"]}]`)))
	assert.True(t, r.Response.Allowed)
}

// TestResponseVersion tests that the response has the version of the review, because an API server accepts no other version.
func TestResponseVersion(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", strings.Replace(review(notebook), "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1))
	assert.Equal(t, "admission.k8s.io/v1beta1", r.APIVersion)
	assert.True(t, r.Response.Allowed)
}

// TestContentLength tests the header with which a client recognizes an incomplete response.
func TestContentLength(t *testing.T) {
	for name, body := range map[string]string{"a patch": review(notebook), "a denial": "{"} {
		t.Run(name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			newEdge(t, nil).ServeHTTP(recorder, request("/mutate", body))
			assert.Equal(t, "application/json", recorder.Header().Get("Content-Type"))
			assert.Equal(t, strconv.Itoa(recorder.Body.Len()), recorder.Header().Get("Content-Length"))
		})
	}
}
