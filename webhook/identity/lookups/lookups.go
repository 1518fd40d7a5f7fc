// Package lookups counts the questions who a person is, in the same way whoever is asked.
package lookups

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// Cache says what part memory had in an answer.
type Cache string

// What part memory can have.
const (
	// Hit is an answer from memory, as fresh as it has to be.
	Hit Cache = "hit"
	// Miss is a question that the source itself was asked.
	Miss Cache = "miss"
	// Stale is an answer from memory, older than it should be, because the source does not answer.
	Stale Cache = "stale"
)

// result of a question.
type result string

const (
	found   result = "found"
	missing result = "missing"
	failed  result = "error"
)

// Metrics of one source. No label has a person in it.
type Metrics struct {
	// counters are made beforehand: a review is not to pay for finding its own.
	counters map[Cache]map[result]prometheus.Counter
	seconds  prometheus.Histogram
}

// New registers jupyter_user_identity_lookups_total and jupyter_user_identity_lookup_duration_seconds for a source, share or
// passwd. The registry may be nil.
func New(registry prometheus.Registerer, source string) (*Metrics, error) {
	of := prometheus.Labels{"source": source}
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jupyter_user_identity_lookups_total",
		Help: "Questions who a person is, by source (share, passwd), cache (hit: answered from memory; miss: the source was asked; " +
			"stale: it did not answer, and its last answer counts) and result (found, missing, error).",
		ConstLabels: of,
	}, []string{"cache", "result"})
	m := &Metrics{
		counters: map[Cache]map[result]prometheus.Counter{},
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jupyter_user_identity_lookup_duration_seconds",
			Help: "How long questions that were not answered from memory have taken, by source (share, passwd).",
			// A share answers in a millisecond, and is waited for no longer than --homes-wait, half a second.
			Buckets:     []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1},
			ConstLabels: of,
		}),
	}
	for _, cache := range []Cache{Hit, Miss, Stale} {
		m.counters[cache] = map[result]prometheus.Counter{}
		for _, r := range []result{found, missing, failed} {
			m.counters[cache][r] = lookups.WithLabelValues(string(cache), string(r))
		}
	}
	if registry == nil {
		return m, nil
	}
	if err := registry.Register(lookups); err != nil {
		return nil, err
	}
	return m, registry.Register(m.seconds)
}

// Count counts one question and its answer.
func (m *Metrics) Count(cache Cache, id *identity.Identity, err error) {
	r := found
	switch {
	case err != nil:
		r = failed
	case id == nil:
		r = missing
	}
	m.counters[cache][r].Inc()
}

// Took is for questions that were not answered from memory.
func (m *Metrics) Took(since time.Time) { m.seconds.Observe(time.Since(since).Seconds()) }
