package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

func TestAdmissionMetrics(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(notebook))
	require.True(t, r.Response.Allowed)
	e.post(t, "/mutate", review(notebook))
	e.post(t, "/mutate", review(document("", oneContainer)))
	e.post(t, "/mutate", review(document(`,"labels":{"jupyter-user":"root"}`, oneContainer)))
	e.post(t, "/mutate/restricted", review(notebook))
	e.post(t, "/mutate", "")
	assert.Equal(t, `jupyter_user_admissions_total{discovery="",outcome="denied",reason="NameReserved",review="mutate"} 1
jupyter_user_admissions_total{discovery="",outcome="denied",reason="NotAReview",review="mutate"} 1
jupyter_user_admissions_total{discovery="",outcome="ignored",reason="",review="mutate"} 1
jupyter_user_admissions_total{discovery="AtAdmission",outcome="injected",reason="",review="mutate"} 0
jupyter_user_admissions_total{discovery="AtAdmission",outcome="verified",reason="",review="verify"} 0
jupyter_user_admissions_total{discovery="AtStart",outcome="denied",reason="RestrictedNeedsIdentity",review="mutate"} 1
jupyter_user_admissions_total{discovery="AtStart",outcome="injected",reason="",review="mutate"} 2
jupyter_user_admissions_total{discovery="AtStart",outcome="verified",reason="",review="verify"} 0
`, e.series(t, "jupyter_user_admissions_total"))
}

// series returns the lines of one metric.
func (e *edge) series(t *testing.T, name string) (found string) {
	t.Helper()
	for line := range strings.Lines(e.metrics(t)) {
		if strings.HasPrefix(line, name+"{") {
			found += line
		}
	}
	return found
}

// TestReviewDurations tests that reviews are timed by kind, except those whose body cannot be a review.
func TestReviewDurations(t *testing.T) {
	e := newEdge(t, nil)
	e.post(t, "/mutate", review(notebook))
	e.post(t, "/mutate/restricted", review(notebook))
	e.post(t, "/mutate", "")
	e.post(t, "/verify", review(document("", oneContainer)))
	assert.Equal(t, `jupyter_user_review_duration_seconds_count{review="mutate"} 2
jupyter_user_review_duration_seconds_count{review="peer"} 0
jupyter_user_review_duration_seconds_count{review="verify"} 1
`, e.series(t, "jupyter_user_review_duration_seconds_count"))
}

// metrics returns the metrics as Prometheus reads them.
func (e *edge) metrics(t *testing.T) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, 200, recorder.Code)
	return recorder.Body.String()
}

func TestFaultMetrics(t *testing.T) {
	e := newEdge(t, identityFunc(func(_ context.Context, name user.Name) (*identity.Identity, error) {
		if name.String() == "panics" {
			panic("at the disco")
		}
		return nil, errors.New("silent")
	}))
	e.post(t, "/mutate", review(notebook))
	e.post(t, "/mutate", review(document(`,"labels":{"jupyter-user":"panics"}`, oneContainer)))
	assert.Contains(t, e.metrics(t), `jupyter_user_admissions_total{discovery="",outcome="fault",reason="IdentitySilent",review="mutate"} 1`)
	assert.Contains(t, e.metrics(t), `jupyter_user_admissions_total{discovery="",outcome="fault",reason="InternalError",review="mutate"} 1`)
	assert.NotContains(t, e.metrics(t), "denied\"")
}

// TestMetricsHaveFixedSeries tests that no label has a value that a Pod, a user or a client can choose.
func TestMetricsHaveFixedSeries(t *testing.T) {
	e := newEdge(t, nil)
	admit := func(from, to int) {
		for i := from; i < to; i++ {
			body := review(document(fmt.Sprintf(`,"labels":{"jupyter-user":"user%d"}`, i), oneContainer))
			body = strings.ReplaceAll(body, `"science"`, fmt.Sprintf(`"namespace%d"`, i))
			body = strings.ReplaceAll(body, `"qiang"`, fmt.Sprintf(`"requester%d"`, i))
			e.post(t, "/mutate", body)
			e.post(t, "/mutate", review(document(fmt.Sprintf(`,"labels":{"jupyter-user":"Bad%d"}`, i), oneContainer)))
			e.post(t, "/verify", review(document(fmt.Sprintf(`,"annotations":{"jupyter-user.io/config":"%d"}`, i), oneContainer)))
			e.post(t, "/mutate", reviewOf("CREATE", "", fmt.Sprintf(`{"group":"g%d","version":"v1","kind":"K%d"}`, i, i), "{}"))
		}
	}
	admit(0, 1)
	before := e.metrics(t)
	admit(1, 50)
	assert.Equal(t, strings.Count(before, "\n"), strings.Count(e.metrics(t), "\n"))
	assert.NotContains(t, e.metrics(t), "user49")
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	_, err := server.NewMetrics(registry)
	require.NoError(t, err)
	_, err = server.NewMetrics(registry)
	assert.Error(t, err)
}
