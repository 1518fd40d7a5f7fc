package monitoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"jupyter-user.io/jupyter-user-webhook/test/project"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// A Recording has the metrics that one alert reads, from all replicas, over a period. It is safe for concurrent use.
type Recording struct {
	alert Alert
	names []string
	// interval is the time between two samples. began is the time of the first sample.
	interval time.Duration
	began    time.Time

	mu sync.Mutex
	// series has the values of the samples, by the name and labels of the series and by the number of the sample. last is
	// the highest number of a sample.
	series map[string]map[int]float64
	last   int
}

// ourMetric matches the name of one of the webhook's metrics in an expression.
var ourMetric = regexp.MustCompile(`\bjupyter_user_\w+`)

// NewRecording returns an empty recording for an alert of rules.yaml.
func NewRecording(alert string, interval time.Duration, began time.Time) (*Recording, error) {
	rules, err := ReadRules()
	if err != nil {
		return nil, err
	}
	for _, rule := range rules.Alerts() {
		if rule.Alert == alert {
			return &Recording{
				alert: rule, names: ourMetric.FindAllString(rule.Expr, -1), interval: interval, began: began, series: map[string]map[int]float64{},
			}, nil
		}
	}
	return nil, fmt.Errorf("rules.yaml has no alert %s", alert)
}

// Add adds the metrics that the alert reads, from the text that a replica exposed. The argument "instance" is the name of
// the replica, and the argument "at" is the time of the sample.
func (r *Recording) Add(at time.Time, instance string, exposed io.Reader) error {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(exposed)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	number := r.number(at)
	r.last = max(r.last, number)
	for _, name := range r.names {
		for _, metric := range families[name].GetMetric() {
			series := selector(name, instance, metric)
			if r.series[series] == nil {
				r.series[series] = map[int]float64{}
			}
			r.series[series][number] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return nil
}

// number returns the number of the sample nearest to a time. Samples are numbered from 0.
func (r *Recording) number(at time.Time) int {
	return int(math.Round(at.Sub(r.began).Seconds() / r.interval.Seconds()))
}

func selector(name, instance string, metric *dto.Metric) string {
	labels := []string{"instance=" + strconv.Quote(instance)}
	for _, label := range metric.GetLabel() {
		labels = append(labels, label.GetName()+"="+strconv.Quote(label.GetValue()))
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}

// CheckAlert evaluates the alert of rules.yaml on the recording, with promtool. It returns an error unless the alert fires
// at each time in the slice firing, and does not fire at any sample for which silent returns true.
//
// The recorded period can be shorter than the time for which the alert waits. So CheckAlert multiplies the time between two
// samples by stretch, and also the distance of every recorded timestamp from the first sample. It does not change durations
// and numbers of events.
func (r *Recording) CheckAlert(ctx context.Context, stretch int, firing []time.Time, silent func(time.Time) bool) error {
	folder, err := os.MkdirTemp("", "recording-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	source, err := project.Folder()
	if err != nil {
		return err
	}
	text := r.testFile(filepath.Join(source, "deploy", "monitoring", "rules.yaml"), stretch, firing, silent)
	file := filepath.Join(folder, "recording.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if output, err := Promtool(ctx, "test", "rules", file); err != nil {
		return errors.Join(err, fmt.Errorf("%s\n%s", output, text))
	}
	return nil
}

// Promtool runs promtool, and returns its standard output and standard error.
func Promtool(ctx context.Context, arguments ...string) (string, error) {
	built, err := tools.Build(ctx, os.Stderr, tools.Promtool)
	if err != nil {
		return "", err
	}
	output, err := exec.CommandContext(ctx, built[tools.Promtool], arguments...).CombinedOutput()
	return string(output), err
}

// testFile returns the text of the test file that promtool runs.
func (r *Recording) testFile(rules string, stretch int, firing []time.Time, silent func(time.Time) bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	step := model.Duration(r.interval * time.Duration(stretch))
	var text strings.Builder
	fmt.Fprintf(&text, "rule_files: [%q]\nevaluation_interval: %s\ntests:\n  - interval: %s\n    input_series:\n", rules, step, step)
	for _, series := range slices.Sorted(maps.Keys(r.series)) {
		fmt.Fprintf(&text, "      - series: '%s'\n        values: '%s'\n", series, r.values(series, stretch))
	}
	text.WriteString("    promql_expr_test:\n")
	check := func(number int, samples string) {
		fmt.Fprintf(&text, "      - {expr: 'ALERTS{alertname=%q,alertstate=\"firing\"}', eval_time: %s, exp_samples: [%s]}\n",
			r.alert.Alert, model.Duration(r.interval*time.Duration(stretch*number)), samples)
	}
	for _, at := range firing {
		check(r.number(at), fmt.Sprintf("{labels: 'ALERTS{alertname=%q,alertstate=\"firing\",severity=%q}', value: 1}",
			r.alert.Alert, r.alert.Labels["severity"]))
	}
	for number := range r.last + 1 {
		if silent(r.began.Add(time.Duration(number) * r.interval)) {
			check(number, "")
		}
	}
	return text.String()
}

// values returns the samples of a series in promtool's notation. A sample that is itself a time (of a metric with the suffix
// _timestamp_seconds) becomes the seconds since the first sample, multiplied by stretch, because promtool's time begins at 0.
func (r *Recording) values(series string, stretch int) string {
	name, _, _ := strings.Cut(series, "{")
	values := make([]string, r.last+1)
	for number := range values {
		value, there := r.series[series][number]
		switch {
		case !there:
			values[number] = "_"
			continue
		case strings.HasSuffix(name, "_timestamp_seconds"):
			value = (value - float64(r.began.UnixMilli())/1000) * float64(stretch)
		}
		values[number] = strconv.FormatFloat(value, 'f', 3, 64)
	}
	return strings.Join(values, " ")
}
