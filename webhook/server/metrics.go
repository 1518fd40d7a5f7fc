package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// Metrics count reviews and requests to other replicas, and measure the duration of reviews. No label has a value that a
// client can choose: users and namespaces are only in the log.
type Metrics struct {
	admissions *prometheus.CounterVec
	seconds    map[string]prometheus.Observer
	answered   prometheus.Counter
	unanswered prometheus.Counter
}

// NewMetrics returns Metrics and registers them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "jupyter_user_review_duration_seconds",
		Help: "How long reviews have taken, from the last byte of the review to the response, by kind of review (mutate, " +
			"verify, peer).",
		// A usual review takes less than a millisecond. A review that waits for the share can take half a second. The API
		// server's timeout is two seconds.
		Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
	}, []string{"review"})
	peers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jupyter_user_peer_questions_total",
		Help: "Pods of another configuration that the other replicas were asked about, by result (answered, unanswered).",
	}, []string{"result"})
	m := &Metrics{
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jupyter_user_admissions_total",
			Help: "Reviews, by kind of review (mutate, verify; peer for one that another replica has forwarded), outcome " +
				"(injected, unchanged, verified, ignored, denied, fault, unknown; in mode Warn would_inject and would_deny), discovery " +
				"(AtAdmission, AtStart, or empty) and the reason of the first denial.",
		}, []string{"review", "outcome", "discovery", "reason"}),
		seconds: map[string]prometheus.Observer{
			kindMutate: seconds.WithLabelValues(kindMutate),
			kindVerify: seconds.WithLabelValues(kindVerify),
			kindPeer:   seconds.WithLabelValues(kindPeer),
		},
		answered:   peers.WithLabelValues("answered"),
		unanswered: peers.WithLabelValues("unanswered"),
	}
	for _, c := range []prometheus.Collector{m.admissions, seconds, peers} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	// These series exist from the start, so that increase() of Prometheus counts their first review too.
	for _, discovery := range []config.Discovery{config.DiscoveryAtAdmission, config.DiscoveryAtStart} {
		m.admissions.WithLabelValues(kindMutate, string(outcomeInjected), string(discovery), "")
		m.admissions.WithLabelValues(kindVerify, string(outcomeVerified), string(discovery), "")
	}
	return m, nil
}

// outcome is what a review did with a Pod, for the log line and a label of the metrics.
type outcome string

const (
	outcomeInjected  outcome = "injected"
	outcomeUnchanged outcome = "unchanged"
	outcomeVerified  outcome = "verified"
	outcomeIgnored   outcome = "ignored"
	outcomeDenied    outcome = "denied"
	outcomeFault     outcome = "fault"
	// outcomeUnknown is the outcome of a forwarded review (kindPeer) if this replica, like the replica that forwarded it,
	// does not have the configuration with which the Pod was injected. This is no fault: a third replica can have it.
	outcomeUnknown outcome = "unknown"
	// These outcomes exist only in Warn mode.
	outcomeWouldInject outcome = "would_inject"
	outcomeWouldDeny   outcome = "would_deny"
)

// inWarnMode returns the outcome that Warn mode logs and counts in place of an enforced outcome.
func (o outcome) inWarnMode() outcome {
	switch o {
	case outcomeInjected:
		return outcomeWouldInject
	case outcomeDenied:
		return outcomeWouldDeny
	}
	return o
}

func outcomeOf(kind string, d webhook.Decision) outcome {
	switch {
	case kind == kindPeer && len(d.Denials) > 0 && metav1.StatusReason(d.Denials[0].Reason) == unknownGeneration:
		return outcomeUnknown
	case len(d.Denials) > 0 && d.Denials[0].Code >= http.StatusInternalServerError:
		return outcomeFault
	case len(d.Denials) > 0:
		return outcomeDenied
	case !d.Claimed:
		return outcomeIgnored
	case kind != kindMutate:
		return outcomeVerified
	case len(d.Operations) == 0:
		return outcomeUnchanged
	}
	return outcomeInjected
}

func (m *Metrics) count(kind string, o outcome, d webhook.Decision) {
	reason := ""
	if len(d.Denials) > 0 {
		reason = string(d.Denials[0].Reason)
	}
	m.admissions.WithLabelValues(kind, string(o), string(d.Discovery), reason).Inc()
}

// observeDuration records the duration of a review that could be decoded. A review that cannot be decoded is only counted. A
// request that gets no AdmissionReview, with the status 408 or 503, is not counted either.
func (m *Metrics) observeDuration(kind string, since time.Time) {
	m.seconds[kind].Observe(time.Since(since).Seconds())
}

func (m *Metrics) countPeerRequest(err error) {
	if err != nil {
		m.unanswered.Inc()
		return
	}
	m.answered.Inc()
}
