package share

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
)

// metrics tell how the share is: what was asked, when it last answered, and what it still owes.
type metrics struct {
	*lookups.Metrics
	lastAnswer prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer, s *Source) (*metrics, error) {
	counted, err := lookups.New(registry, "share")
	if err != nil {
		return nil, err
	}
	m := &metrics{
		Metrics: counted,
		lastAnswer: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jupyter_user_share_last_answer_timestamp_seconds",
			Help: "When the share has last answered, also that somebody has no home; 0 where it never has.",
		}),
	}
	out := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jupyter_user_share_lookups_in_flight",
		Help: "System calls that are out to the share. No more than 32 ever are.",
	}, s.unanswered)
	oldest := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jupyter_user_share_oldest_lookup_seconds",
		Help: "For how long the oldest of the system calls that are out to the share has been; 0 where none is. Over a second, the " +
			"share hangs.",
	}, s.oldest)
	return m, errors.Join(registry.Register(m.lastAnswer), registry.Register(out), registry.Register(oldest))
}

func (m *metrics) answered(at time.Time) { m.lastAnswer.Set(float64(at.UnixMilli()) / 1000) }
