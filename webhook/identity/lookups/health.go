package lookups

import (
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// register registers the metrics of a source: the times of its last response and its last failure, the number of running
// lookups, and the age of the oldest.
func (f *Finder[V]) register() error {
	name := "jupyter_user_" + strings.ReplaceAll(f.Source, "-", "_")
	f.lastResponse = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: name + "_last_answer_timestamp_seconds",
		Help: "When " + f.What + " last responded, also without a result; 0 if it never has.",
	})
	f.lastFailure = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: name + "_last_failure_timestamp_seconds",
		Help: "When a lookup at " + f.What + " last failed, because the server did not respond or returned an error; " +
			"0 if none ever has.",
	})
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name + "_lookups_in_flight",
		Help: "Lookups at " + f.What + " that are running now, at most 32.",
	}, func() float64 { return float64(f.Running()) })
	oldest := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name + "_oldest_lookup_seconds",
		Help: "How long the oldest lookup at " + f.What + " has been running; 0 if none is running. " +
			"Much longer than a review waits for it (500 ms by default): it hangs.",
	}, func() float64 { return f.Oldest().Seconds() })
	if f.Registry == nil {
		return nil
	}
	return errors.Join(f.Registry.Register(f.lastResponse), f.Registry.Register(f.lastFailure), f.Registry.Register(running),
		f.Registry.Register(oldest))
}

// seconds returns a time as Prometheus has it: seconds since 1970.
func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
