package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/monitoring"
)

// exposed has the metrics of processes: for each name the values of each label. It has no values for the labels instance and job,
// which Prometheus adds, and for le.
type exposed map[string]map[string][]string

func (e exposed) scrape(t *testing.T, p *process) {
	t.Helper()
	response, err := p.client.Get(p.http + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // the body is read to its end
	require.Equal(t, http.StatusOK, response.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)
	for name, family := range families {
		for _, series := range family.GetMetric() {
			e.add(name, family.GetType(), series.GetLabel())
		}
	}
}

func (e exposed) add(name string, kind dto.MetricType, labels []*dto.LabelPair) {
	names := []string{name}
	if kind == dto.MetricType_HISTOGRAM {
		names = []string{name + "_bucket", name + "_sum", name + "_count"}
	}
	for _, name := range names {
		if e[name] == nil {
			e[name] = map[string][]string{"instance": nil, "job": nil}
		}
		if strings.HasSuffix(name, "_bucket") {
			e[name]["le"] = nil
		}
		for _, label := range labels {
			e[name][label.GetName()] = append(e[name][label.GetName()], label.GetValue())
		}
	}
}

// send posts a review and asserts that the response has the status 200.
func (p *process) send(t *testing.T, path, body string) {
	t.Helper()
	response, err := p.client.Post(p.reviews+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// afterReviews returns the metrics of several processes after some reviews. The processes differ in the mode (Enforce,
// Warn) and in the source of identities: the share, also while it is away; files; a directory service that does not
// respond.
func afterReviews(t *testing.T) exposed {
	t.Helper()
	found := exposed{}
	for _, mode := range []string{"Enforce", "Warn"} {
		homes := filepath.Join(t.TempDir(), "home")
		require.NoError(t, os.MkdirAll(filepath.Join(homes, "alice"), 0o755))
		passwd, group := file(t, "passwd", "alice:x:5001:6001::/:\n"), file(t, "group", "people:x:6001:\n")
		configuration := file(t, "config.yaml", "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\nmode: "+mode+
			"\nidentity:\n  minUID: 1\n  minGID: 1\nuser:\n  mapFile: "+file(t, "names", "a.liddell alice\n")+"\n")
		for _, sources := range [][]string{{"--share=" + filepath.Dir(homes), "--homes-fresh=1ns", "--homes-stale=1ns"}, {"--passwd=" + passwd, "--group=" + group}} {
			p, stop := serve(t, append(sources, "--config="+configuration)...)
			p.send(t, "/mutate", strings.ReplaceAll(review, `"alice"`, `"root"`))
			p.send(t, "/mutate", review)
			p.send(t, "/verify", review)
			made := command(t, aliceAsJSON, "inject", "-f", "-", "-o", "json", "--config="+configuration, "--identity=5001:6001").out
			p.send(t, "/mutate", strings.Replace(review, aliceAsJSON, made, 1))
			if strings.HasPrefix(sources[0], "--share") {
				require.NoError(t, os.Rename(homes, homes+"-elsewhere"))
				p.send(t, "/mutate", review)
			}
			found.scrape(t, p)
			assert.Zero(t, stop())
		}
	}
	found.addDirectoryService(t)
	return found
}

// addDirectoryService adds the metrics of a process whose directory service does not respond.
func (e exposed) addDirectoryService(t *testing.T) {
	t.Helper()
	p, stop := serve(t, "--config="+file(t, "config.yaml", "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\nidentity:\n  ldap:\n"+
		"    urls: ['ldaps://127.0.0.1:1']\n    users: {baseDN: 'dc=example,dc=org'}\n"))
	p.send(t, "/mutate", review)
	e.scrape(t, p)
	assert.Zero(t, stop())
}

// TestMetricsOfProcesses compares the metrics of processes with the dashboard, the alerts and the documentation.
func TestMetricsOfProcesses(t *testing.T) {
	found := afterReviews(t)
	t.Run("the dashboard and the alerts use exposed metrics", func(t *testing.T) { assertQueriesMatch(t, found) })
	t.Run("the page on metrics has the exposed metrics", func(t *testing.T) { assertDocumented(t, found) })
	t.Run("no label names a user, a namespace, a pod or a requester", func(t *testing.T) { assertNoPersonalLabels(t, found) })
}

// assertQueriesMatch asserts that processes expose the metrics, labels and values that the dashboard and the alerts of
// deploy/monitoring use, except for the metrics of API servers and of kube-state-metrics.
func assertQueriesMatch(t *testing.T, found exposed) {
	t.Helper()
	queries, err := monitoring.Queries(t.Context())
	require.NoError(t, err)
	for _, query := range queries {
		labels := map[string]bool{}
		for _, series := range query.Series {
			if strings.HasPrefix(series.Name, "apiserver_") || strings.HasPrefix(series.Name, "kube_deployment_") {
				// test/integration compares the metrics apiserver_… with a real API server. kube-state-metrics has the others.
				continue
			}
			has, ok := found[series.Name]
			assert.True(t, ok, "%s uses metric %s, which no process exposes: %s", query.Where, series.Name, query.Expr)
			for _, matcher := range series.Matchers {
				assert.Contains(t, has, matcher[0], "%s: %s has no such label: %s", query.Where, series.Name, query.Expr)
			}
			for label, values := range series.Values() {
				for _, value := range values {
					assert.Contains(t, has[label], value, "%s: %s has no such %s: %s", query.Where, series.Name, label, query.Expr)
				}
			}
			for label := range has {
				labels[label] = true
			}
		}
		for _, label := range query.Labels {
			assert.True(t, len(labels) == 0 || labels[label], "%s groups by the label %s, which no metric has: %s", query.Where, label, query.Expr)
		}
	}
}

// assertDocumented asserts that deploy/docs/metrics.md lists exactly the metrics whose names begin with jupyter_user_,
// with their labels.
func assertDocumented(t *testing.T, found exposed) {
	t.Helper()
	page, err := os.ReadFile("../../deploy/docs/metrics.md")
	require.NoError(t, err)
	want := map[string]string{}
	for name, labels := range found {
		name = strings.TrimSuffix(name, "_bucket")
		if !strings.HasPrefix(name, "jupyter_user_") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") {
			continue
		}
		own := slices.DeleteFunc(slices.Sorted(maps.Keys(labels)), func(label string) bool {
			return label == "instance" || label == "job" || label == "le"
		})
		want[name] = strings.Join(own, ", ")
	}
	written := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Contains(cells[1], "`jupyter_user_") {
			written[strings.Trim(cells[1], " `")] = strings.ReplaceAll(strings.TrimSpace(cells[2]), "`", "")
		}
	}
	assert.Equal(t, want, written)
}

func assertNoPersonalLabels(t *testing.T, found exposed) {
	t.Helper()
	for name, labels := range found {
		for label, values := range labels {
			for _, value := range values {
				assert.NotContains(t, []string{"alice", "root", "science", "nb", "qiang"}, value, "%s{%s}", name, label)
			}
		}
	}
}
