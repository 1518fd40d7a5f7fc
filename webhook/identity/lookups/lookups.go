// Package lookups has the common parts of the sources of identities: a Finder, which calls a slow source with limits and a
// cache, and the metrics of lookups.
package lookups

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// Cache is a label of the metrics: whether a result came from the cache.
type Cache string

const (
	// Hit is a fresh result from the cache.
	Hit Cache = "hit"
	// Miss is a lookup at the source.
	Miss Cache = "miss"
	// Stale is an old result from the cache, used because the source fails or does not respond.
	Stale Cache = "stale"
)

// result is the result of a lookup, as the value of a label of the metrics.
type result string

const (
	found   result = "found"
	missing result = "missing"
	// unusable is no failure of the source: the source knows the key, but the value of the key cannot be used.
	unusable result = "unusable"
	failed   result = "error"
)

// Metrics count the lookups at one source, and measure how long they take. No label contains a user.
type Metrics struct {
	// counters are created in advance, so that a review need not look them up by labels.
	counters map[Cache]map[result]prometheus.Counter
	seconds  prometheus.Histogram
}

// New registers jupyter_user_identity_lookups_total and jupyter_user_identity_lookup_duration_seconds for a source: ldap,
// ldap-names, passwd or share. With a nil registry nothing is registered.
func New(registry prometheus.Registerer, source string) (*Metrics, error) {
	labels := prometheus.Labels{"source": source}
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jupyter_user_identity_lookups_total",
		Help: "Lookups of identities, by source (ldap, ldap-names, passwd, share), cache (hit: from the cache; miss: the " +
			"source was asked; stale: it failed or did not respond, and its last result is used) and result (found, missing, " +
			"unusable, error).",
		ConstLabels: labels,
	}, []string{"cache", "result"})
	m := &Metrics{
		counters: map[Cache]map[result]prometheus.Counter{},
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jupyter_user_identity_lookup_duration_seconds",
			Help: "Duration of lookups that were not served from the cache, by source (ldap, ldap-names, passwd, share).",
			// A source responds in a few milliseconds, and callers wait half a second by default.
			Buckets:     []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1},
			ConstLabels: labels,
		}),
	}
	for _, cache := range []Cache{Hit, Miss, Stale} {
		m.counters[cache] = map[result]prometheus.Counter{}
		for _, r := range []result{found, missing, unusable, failed} {
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

// Count counts one lookup of an identity in the metrics: found, missing (id is nil), unusable or failed.
func (m *Metrics) Count(cache Cache, id *identity.Identity, err error) { count(m, cache, id, err) }

func count[V any](m *Metrics, cache Cache, value *V, err error) {
	r := found
	switch {
	case identity.IsUnusable(err):
		r = unusable
	case err != nil:
		r = failed
	case value == nil:
		r = missing
	}
	m.counters[cache][r].Inc()
}

// Took records the duration of a lookup at the source. The lookup began at the time since.
func (m *Metrics) Took(since time.Time) { m.seconds.Observe(time.Since(since).Seconds()) }
