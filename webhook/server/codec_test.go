package server

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	kjson "sigs.k8s.io/json"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

const notebookPod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},
	"spec":{"containers":[{"name":"nb","image":"notebook","env":[{"name":"GREETING","value":"<\u00e9\u2028&>"}]}]}}`

func reviewOf(version, uid, pod string) string {
	return fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/%s","request":{"uid":%q,
		"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"name":"nb",
		"namespace":"science","operation":"CREATE","userInfo":{"username":"qiang","groups":["g"],"extra":{"a":["b"]}},
		"object":%s,"oldObject":null,"dryRun":true,"options":{"kind":"CreateOptions"}}}`, version, uid, pod)
}

// FuzzAgainstAdmissionWebhook compares the responses with those of controller-runtime's admission.Webhook for the same
// bodies and decisions. Differences are allowed if both deny the body, if only this server denies the body for a fault that
// the function stricter finds, or if controller-runtime fails at a wrong type in a field that this server does not read.
func FuzzAgainstAdmissionWebhook(f *testing.F) {
	good := reviewOf("v1", "u-1", notebookPod)
	for _, seed := range []string{
		good, reviewOf("v1beta1", "u-1", notebookPod), reviewOf("v2", "u-1", notebookPod), reviewOf("v1", `é"\`, `{}`), reviewOf("v1", "", "null"),
		"{}", `{"request":null}`, `{"request":{"uid":null}}`, `{"request":[]}`, `{"request":{"object":[{}]}}`, `{"kind":5}`, `{"Kind":5}`, "{", good[:200], good + "x",
		good + " \n", good + good, strings.Replace(good, "CREATE", "UPDATE", 1), strings.Replace(good, `"dryRun":true`, `"dryRun":"true"`, 1),
		strings.Replace(good, `"dryRun":true`, `"dryRun":null`, 1), strings.Replace(good, `"request"`, `"Request"`, 1),
		strings.Replace(good, `"uid"`, `"UID":"u-2","uid"`, 1), strings.Replace(good, `"uid"`, `"uid":"u-2","uid"`, 1),
		strings.Replace(good, `"namespace"`, `"subResource":"status","namespace"`, 1), strings.Replace(good, `"v1","kind":"Pod"}`, `"v1","kind":"Node"}`, 1),
		strings.Replace(good, `"jupyter-user":`, `"jupyter-user":"bob","jupyter-user":`, 1), strings.Replace(good, `"alice"`, `"root"`, 1),
		strings.Replace(good, `"alice"`, "\"al\xffce\"", 1), strings.Replace(good, `"alice"`, `"\ud800"`, 1), strings.Replace(good, `"g"`, `5`, 1),
	} {
		f.Add(seed)
	}
	h := newHandler(f)
	reference := controllerRuntimeWebhook(f, h)
	f.Fuzz(func(t *testing.T, body string) {
		if !strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{") {
			return // denied before it is decoded
		}
		want, got := responseOf(t, reference, body), responseOf(t, h, body)
		switch reason := got.reason(); {
		case reason == "NotAReview" || reason == "PodUnreadable" && (want.reason() != reason || stricter(body)):
			assert.False(t, got.Response.Allowed)
			assert.True(t, want.Response.Result != nil && want.Response.Result.Code == 400 || stricter(body), "denied here, and accepted by controller-runtime: %s", body)
		case want.reason() == "" && !want.Response.Allowed:
			// controller-runtime has failed at a field that this server does not read. An API server writes that field correctly.
			assert.NoError(t, kjson.UnmarshalCaseSensitivePreserveInts([]byte(body), &reviewFields{}), body)
		default:
			assert.Equal(t, want.Response, got.Response)
			if fields := (reviewFields{}); kjson.UnmarshalCaseSensitivePreserveInts([]byte(body), &fields) == nil && fields.Kind == "AdmissionReview" &&
				strings.HasPrefix(fields.APIVersion, "admission.k8s.io/") && fields.APIVersion == want.APIVersion {
				assert.Equal(t, want.TypeMeta, got.TypeMeta)
			}
		}
	})
}

// reviewFields has the fields of the type review except the object, for controller-runtime's decoder.
type reviewFields struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    struct {
		UID         string `json:"uid"`
		SubResource string `json:"subResource"`
		Name        string `json:"name"`
		Namespace   string `json:"namespace"`
		Operation   string `json:"operation"`
		Kind        struct {
			Group   string `json:"group"`
			Version string `json:"version"`
			Kind    string `json:"kind"`
		} `json:"kind"`
		UserInfo struct {
			Username string `json:"username"`
		} `json:"userInfo"`
		DryRun bool `json:"dryRun"`
	} `json:"request"`
}

// stricter reports whether a body has a duplicate name, invalid UTF-8 or an escaped surrogate. controller-runtime accepts
// all three. Of the three, this server accepts only an escaped surrogate, and only in a whole pair.
func stricter(body string) bool {
	return !utf8.ValidString(body) || regexp.MustCompile(`\\u[dD][89a-fA-F]`).MatchString(body) ||
		stdjson.Valid([]byte(body)) && hasDuplicateName(stdjson.NewDecoder(strings.NewReader(body)))
}

// hasDuplicateName reports whether valid JSON has a duplicate name in one object.
func hasDuplicateName(d *stdjson.Decoder) bool {
	token, err := d.Token()
	if err != nil {
		return false
	}
	switch token {
	case stdjson.Delim('{'):
		names := map[stdjson.Token]bool{}
		for d.More() {
			name, err := d.Token()
			if err != nil || names[name] {
				return names[name]
			}
			names[name] = true
			if hasDuplicateName(d) {
				return true
			}
		}
	case stdjson.Delim('['):
		for d.More() {
			if hasDuplicateName(d) {
				return true
			}
		}
	default:
		return false
	}
	_, err = d.Token()
	return err != nil
}

func newHandler(t testing.TB) *handler {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	return &handler{kind: kindMutate, decide: webhook.New(config.Default(), nil).Decide, log: slog.New(slog.DiscardHandler), metrics: metrics}
}

// controllerRuntimeWebhook returns controller-runtime's webhook, which makes the same decisions as h.
func controllerRuntimeWebhook(t testing.TB, h *handler) http.Handler {
	t.Helper()
	decide := admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		asked := request{
			UID: req.UID, Kind: req.Kind, SubResource: req.SubResource, Name: req.Name, Namespace: req.Namespace, Operation: req.Operation,
			UserInfo: userInfo{req.UserInfo.Username}, DryRun: req.DryRun != nil && *req.DryRun,
			Object: object{to: int64(len(req.Object.Raw))},
		}
		response := admission.Response{AdmissionResponse: *h.handle(ctx, asked, req.Object.Raw, time.Now())}
		// admission.Webhook makes the patch itself if a response has operations and no patch yet.
		if d := h.decide(ctx, webhook.Review{Pod: req.Object.Raw, Namespace: req.Namespace}); response.Patch != nil {
			response.Patch, response.PatchType, response.Patches = nil, nil, d.Operations
		}
		return response
	})
	served, err := admission.StandaloneWebhook(&admission.Webhook{Handler: decide}, admission.StandaloneOptions{Logger: logr.Discard()})
	require.NoError(t, err)
	return served
}

// canonical is an AdmissionReview whose patch is in a canonical form.
type canonical struct{ admissionv1.AdmissionReview }

func (a canonical) reason() string {
	if a.Response.Result == nil {
		return ""
	}
	return string(a.Response.Result.Reason)
}

func responseOf(t testing.TB, h http.Handler, body string) (a canonical) {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, postRequest(body))
	assert.Equal(t, 200, recorder.Code)
	require.NoError(t, stdjson.Unmarshal(recorder.Body.Bytes(), &a.AdmissionReview), recorder.Body.String())
	require.NotNil(t, a.Response)
	if len(a.Response.Patch) > 0 {
		var operations any
		require.NoError(t, stdjson.Unmarshal(a.Response.Patch, &operations))
		patch, err := stdjson.Marshal(operations)
		require.NoError(t, err)
		a.Response.Patch = patch
	}
	if a.Response.Result != nil && a.Response.Allowed {
		assert.Equal(t, int32(200), a.Response.Result.Code, "controller-runtime adds this code, and an API server ignores it")
		a.Response.Result = nil
	}
	return a
}

func postRequest(body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/mutate", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	return req
}

// TestConcurrentReviewsAreSeparate sends many reviews of different lengths at the same time, because reviews share buffers.
// Each review must get the same response as alone.
func TestConcurrentReviewsAreSeparate(t *testing.T) {
	h := newHandler(t)
	const users, rounds = 16, 40
	alone := make([]canonical, users)
	bodies := make([]string, users)
	for i := range users {
		pod := strings.ReplaceAll(notebookPod, "alice", fmt.Sprintf("user%d", i))
		pod = strings.Replace(pod, `"image":"notebook"`, `"image":"notebook","args":["`+strings.Repeat(fmt.Sprintf("secret%d ", i), 1+i*i*10)+`"]`, 1)
		bodies[i] = reviewOf("v1", fmt.Sprintf("u-%d", i), pod)
		if i%5 == 4 {
			bodies[i] = bodies[i][:len(bodies[i])/2]
		}
		alone[i] = responseOf(t, newHandler(t), bodies[i])
		require.Equal(t, fmt.Sprintf("u-%d", i), string(alone[i].Response.UID))
		require.Equal(t, i%5 != 4, strings.Contains(string(alone[i].Response.Patch), fmt.Sprintf(`"user%d"`, i)))
	}
	var together sync.WaitGroup
	for i := range users {
		together.Go(func() {
			for range rounds {
				assert.Equal(t, alone[i], responseOf(t, h, bodies[i]))
			}
		})
	}
	together.Wait()
}

// TestPanicIsResponse tests that a panic in one review is a denial, and does not affect the next review.
func TestPanicIsResponse(t *testing.T) {
	h := newHandler(t)
	decide := h.decide
	h.decide = func(ctx context.Context, r webhook.Review) webhook.Decision {
		if bytes.Contains(r.Pod, []byte("disco")) {
			panic("at the disco")
		}
		return decide(ctx, r)
	}
	a := responseOf(t, h, reviewOf("v1", "u-1", strings.ReplaceAll(notebookPod, "alice", "disco")))
	assert.False(t, a.Response.Allowed)
	assert.Equal(t, int32(500), a.Response.Result.Code)
	assert.Equal(t, "u-1", string(a.Response.UID))
	assert.NotContains(t, a.Response.Result.Message, "disco")
	assert.True(t, responseOf(t, h, reviewOf("v1", "u-2", notebookPod)).Response.Allowed)
}

// TestDecodePod decodes a Pod at different positions in its review.
func TestDecodePod(t *testing.T) {
	const document = `{ "apiVersion":"v1","kind":"Pod","metadata":{"name":"{\": nb"} }`
	for name, body := range map[string]string{
		"as an API server writes it": `{"request":{"uid":"u","object":` + document + `,"oldObject":null}}`,
		"white space":                "{\"request\" : {\"uid\":\"u\",\"object\" \t\r\n: \n\t " + document + " \n, \"dryRun\":true} }\n",
		"first field":                `{"request":{"object":` + document + `,"uid":"u"}}`,
		"between other objects":      `{"x":{"object":{"kind":"Node"}},"request":{"oldObject":{"kind":"Pod"},"uid":"u","object":` + document + `}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, denied := decode([]byte(body))
			require.Nil(t, denied)
			assert.Equal(t, document, string(r.Request.Object.raw([]byte(body))))
			require.NotNil(t, r.Request.Object.pod)
			again, err := pod.Read([]byte(document))
			require.NoError(t, err)
			assert.Equal(t, again, r.Request.Object.pod)
			assert.EqualValues(t, "u", r.Request.UID)
		})
	}
	for name, object := range map[string]string{
		"a list": `["x"]`, "null": `null`, "a string": `"{}"`, "wrong metadata": `{"metadata":7}`, "wrong containers": `{"spec":{"containers":{}}}`,
	} {
		t.Run(name+" is skipped", func(t *testing.T) {
			body := []byte(`{"request":{"object": ` + object + `,"uid":"u"}}`)
			r, denied := decode(body)
			require.Nil(t, denied)
			assert.Equal(t, object, string(r.Request.Object.raw(body)))
			assert.Nil(t, r.Request.Object.pod)
			assert.EqualValues(t, "u", r.Request.UID)
		})
	}
}
