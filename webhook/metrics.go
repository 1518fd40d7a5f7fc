package webhook

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// Metrics of the webhook. No label has a value that somebody outside can make up: users and namespaces are in the log.
type Metrics struct {
	admissions *prometheus.CounterVec
}

// NewMetrics registers jupyter_user_admissions_total.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jupyter_user_admissions_total",
		Help: "Reviews answered, by kind of review (mutate, verify), outcome (injected, unchanged, verified, ignored, denied, " +
			"fault), way to the identity (AtAdmission, AtStart, or empty) and the reason of the first refusal.",
	}, []string{"review", "outcome", "way", "reason"})}
	if err := registry.Register(m.admissions); err != nil {
		return nil, err
	}
	// The series that a dashboard draws are there from the start.
	for _, way := range []config.Way{config.WayAtAdmission, config.WayAtStart} {
		m.admissions.WithLabelValues(kindMutate, string(outcomeInjected), string(way), "")
		m.admissions.WithLabelValues(kindVerify, string(outcomeVerified), string(way), "")
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
)

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
	reason := ""
	if len(d.Refusals) > 0 {
		reason = string(d.Refusals[0].Reason)
	}
	m.admissions.WithLabelValues(kind, string(o), string(d.Way), reason).Inc()
}
