package webhook

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// Metrics of the webhook. No label has a value that somebody outside can make up: users and namespaces are in the log.
type Metrics struct {
	admissions *prometheus.CounterVec
	seconds    map[string]prometheus.Observer
	answered   prometheus.Counter
	unanswered prometheus.Counter

	// known are the counters that have been needed: to find one by its labels costs more than to count.
	mu    sync.RWMutex
	known map[series]prometheus.Counter
}

// series is one counter of admissions.
type series struct {
	review  string
	outcome outcome
	way     config.Way
	reason  answer.Reason
}

// NewMetrics registers what is counted of reviews.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "jupyter_user_review_duration_seconds",
		Help: "How long reviews have taken, from the last byte of the question to the answer, by kind of review (mutate, verify).",
		// A review takes less than a millisecond, one that waits for the share half a second, and the API server waits for two.
		Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
	}, []string{"review"})
	peers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jupyter_user_peer_questions_total",
		Help: "Pods of another configuration that the other replicas were asked about, by result (answered, unanswered).",
	}, []string{"result"})
	m := &Metrics{
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jupyter_user_admissions_total",
			Help: "Reviews answered, by kind of review (mutate, verify), outcome (injected, unchanged, verified, ignored, denied, " +
				"fault; in mode Warn would_inject and would_deny), way to the identity (AtAdmission, AtStart, or empty) and the " +
				"reason of the first refusal.",
		}, []string{"review", "outcome", "way", "reason"}),
		seconds: map[string]prometheus.Observer{
			kindMutate: seconds.WithLabelValues(kindMutate),
			kindVerify: seconds.WithLabelValues(kindVerify),
		},
		answered:   peers.WithLabelValues("answered"),
		unanswered: peers.WithLabelValues("unanswered"),
		known:      map[series]prometheus.Counter{},
	}
	for _, c := range []prometheus.Collector{m.admissions, seconds, peers} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	// The series that a dashboard draws are there from the start.
	for _, way := range []config.Way{config.WayAtAdmission, config.WayAtStart} {
		m.counter(series{review: kindMutate, outcome: outcomeInjected, way: way})
		m.counter(series{review: kindVerify, outcome: outcomeVerified, way: way})
	}
	return m, nil
}

// outcome is how an admission ended.
type outcome string

const (
	outcomeInjected  outcome = "injected"
	outcomeUnchanged outcome = "unchanged"
	outcomeVerified  outcome = "verified"
	outcomeIgnored   outcome = "ignored"
	outcomeDenied    outcome = "denied"
	outcomeFault     outcome = "fault"
	// In mode Warn, what would have been done.
	outcomeWouldInject outcome = "would_inject"
	outcomeWouldDeny   outcome = "would_deny"
)

// foretold is the outcome of a decision that is not carried out.
func (o outcome) foretold() outcome {
	switch o {
	case outcomeInjected:
		return outcomeWouldInject
	case outcomeDenied:
		return outcomeWouldDeny
	}
	return o
}

func outcomeOf(kind string, d Decision) outcome {
	switch {
	case len(d.Refusals) > 0 && d.Refusals[0].Code >= http.StatusInternalServerError:
		return outcomeFault
	case len(d.Refusals) > 0:
		return outcomeDenied
	case !d.Claimed:
		return outcomeIgnored
	case kind == kindVerify:
		return outcomeVerified
	case len(d.Operations) == 0:
		return outcomeUnchanged
	}
	return outcomeInjected
}

func (m *Metrics) count(kind string, o outcome, d Decision) {
	of := series{review: kind, outcome: o, way: d.Way}
	if len(d.Refusals) > 0 {
		of.reason = d.Refusals[0].Reason
	}
	m.counter(of).Inc()
}

// counter answers the one of a series. There are as many as there are reasons, a few dozen.
func (m *Metrics) counter(of series) prometheus.Counter {
	m.mu.RLock()
	found, ok := m.known[of]
	m.mu.RUnlock()
	if ok {
		return found
	}
	made := m.admissions.WithLabelValues(of.review, string(of.outcome), string(of.way), string(of.reason))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[of] = made
	return made
}

// took is for reviews that have arrived whole.
func (m *Metrics) took(kind string, since time.Time) {
	m.seconds[kind].Observe(time.Since(since).Seconds())
}

// asked is for questions to the other replicas.
func (m *Metrics) asked(err error) {
	if err != nil {
		m.unanswered.Inc()
		return
	}
	m.answered.Inc()
}
