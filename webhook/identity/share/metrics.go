package share

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// result of a question.
type result string

const (
	found      result = "found"
	missing    result = "missing"
	remembered result = "remembered"
	stale      result = "stale"
	silent     result = "silent"
)

type metrics struct {
	results *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, unanswered func() float64) (*metrics, error) {
	m := &metrics{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jupyter_user_share_answers_total",
			Help: "What became of questions for a home's owner: found or missing on the share, remembered from shortly before, " +
				"stale (the last answer of a share that is silent), or silent (and nothing remembered).",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "jupyter_user_share_wait_seconds",
			Help:    "How long questions that went to the share have waited for it.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1},
		}),
	}
	out := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jupyter_user_share_unanswered",
		Help: "Questions that the share has not answered yet. Where it stays above 0, the share hangs.",
	}, unanswered)
	for _, r := range []result{found, missing, remembered, stale, silent} {
		m.results.WithLabelValues(string(r))
	}
	return m, errors.Join(registry.Register(m.results), registry.Register(m.seconds), registry.Register(out))
}

func (m *metrics) count(r result) { m.results.WithLabelValues(string(r)).Inc() }

func (m *metrics) countAnswer(id *identity.Identity, err error) {
	switch {
	case err != nil:
		m.count(silent)
	case id == nil:
		m.count(missing)
	default:
		m.count(found)
	}
}

func (m *metrics) took(since time.Time) { m.seconds.Observe(time.Since(since).Seconds()) }
