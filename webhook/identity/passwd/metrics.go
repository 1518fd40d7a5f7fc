package passwd

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
)

// metrics count reads of the files, users and bad lines, and show whether a file is broken. No label contains a user,
// because the names are private.
type metrics struct {
	*lookups.Metrics
	reloads  *prometheus.CounterVec
	users    prometheus.Gauge
	lastLoad prometheus.Gauge
	isBroken prometheus.Gauge
	modified *prometheus.GaugeVec
	badLines *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	counted, err := lookups.New(registry, "passwd")
	if err != nil {
		return nil, err
	}
	m := &metrics{
		Metrics: counted,
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jupyter_user_passwd_reloads_total",
			Help: "How often the passwd and group files were read, by result: loaded, or broken, where what was read before stays " +
				"in use. A broken pair counts once.",
		}, []string{"result"}),
		users: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jupyter_user_passwd_users",
			Help: "Users in the passwd file whom a pod can name.",
		}),
		lastLoad: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jupyter_user_passwd_last_load_timestamp_seconds",
			Help: "When the passwd and group files in use were read.",
		}),
		isBroken: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jupyter_user_passwd_broken",
			Help: "1 while the passwd and group files are broken or gone, and what was read before is in use; otherwise 0.",
		}),
		modified: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jupyter_user_passwd_modified_timestamp_seconds",
			Help: "When the files in use (passwd, group) were last written, by their own times: what writes them was at work then.",
		}, []string{"file"}),
		badLines: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jupyter_user_passwd_bad_lines",
			Help: "Lines of the files in use (passwd, group) that cannot be read and are left out. The log has the first of them.",
		}, []string{"file"}),
	}
	m.reloads.WithLabelValues(resultLoaded)
	m.reloads.WithLabelValues(resultBroken)
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.reloads, m.users, m.lastLoad, m.isBroken, m.modified, m.badLines} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

const (
	resultLoaded = "loaded"
	resultBroken = "broken"
)

func (m *metrics) loaded(users *table, read *stamps) {
	m.reloads.WithLabelValues(resultLoaded).Inc()
	m.users.Set(float64(len(users.accounts)))
	for i, bad := range users.bad {
		m.badLines.WithLabelValues([]string{"passwd", "group"}[i]).Set(float64(bad.count))
	}
	m.lastLoad.SetToCurrentTime()
	m.modified.WithLabelValues("passwd").Set(seconds(read.passwd.ModTime()))
	if read.group != nil {
		m.modified.WithLabelValues("group").Set(seconds(read.group.ModTime()))
	}
}

func (m *metrics) setBroken() {
	m.reloads.WithLabelValues(resultBroken).Inc()
	m.isBroken.Set(1)
}

func (m *metrics) clearBroken() { m.isBroken.Set(0) }

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
