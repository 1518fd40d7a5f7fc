// Package lookups asks the sources of identities, and counts what they answer, in the same way for each.
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

// Metrics of one source. No label has a user in it.
type Metrics struct {
	// counters are made beforehand: a review is not to pay for finding its own.
	counters map[Cache]map[result]prometheus.Counter
	seconds  prometheus.Histogram
}

// New registers jupyter_user_identity_lookups_total and jupyter_user_identity_lookup_duration_seconds for a source: ldap,
// ldap-names, passwd or share. The registry may be nil.
func New(registry prometheus.Registerer, source string) (*Metrics, error) {
	of := prometheus.Labels{"source": source}
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jupyter_user_identity_lookups_total",
		Help: "Questions who a person is, by source (ldap, ldap-names, passwd, share), cache (hit: answered from memory; miss: the " +
			"source was asked; " +
			"stale: it did not answer, and its last answer counts) and result (found, missing, error).",
		ConstLabels: of,
	}, []string{"cache", "result"})
	m := &Metrics{
		counters: map[Cache]map[result]prometheus.Counter{},
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jupyter_user_identity_lookup_duration_seconds",
			Help: "How long questions that were not answered from memory have taken, by source (ldap, ldap-names, passwd, share).",
			// A source answers in a few milliseconds, and is waited for no longer than half a second.
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
func (m *Metrics) Count(cache Cache, id *identity.Identity, err error) { count(m, cache, id, err) }

func count[V any](m *Metrics, cache Cache, value *V, err error) {
	r := found
	switch {
	case err != nil:
		r = failed
	case value == nil:
		r = missing
	}
	m.counters[cache][r].Inc()
}

// Took is for questions that were not answered from memory.
func (m *Metrics) Took(since time.Time) { m.seconds.Observe(time.Since(since).Seconds()) }
