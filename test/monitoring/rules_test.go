package monitoring_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"jupyter-user.io/jupyter-user-webhook/test/monitoring"
)

func alerts(t *testing.T) []monitoring.Alert {
	t.Helper()
	rules, err := monitoring.ReadRules()
	require.NoError(t, err)
	require.NotEmpty(t, rules.Alerts())
	return rules.Alerts()
}

// TestAlerts runs the test file of each alert with promtool. In each file the alert fires at least once, and at least once
// it does not fire.
func TestAlerts(t *testing.T) {
	t.Parallel()
	output, err := monitoring.Promtool(t.Context(), "check", "rules", "--lint=all", "--lint-fatal", "../../deploy/monitoring/rules.yaml")
	require.NoError(t, err, output)
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	var expected []string
	for _, alert := range alerts(t) {
		expected = append(expected, "testdata/"+alert.Alert+".yaml")
	}
	require.ElementsMatch(t, expected, files, "testdata has one file for each alert, and no other file")
	for _, file := range files {
		fires, silent := cases(t, file)
		assert.Positive(t, fires, "%s never fires", file)
		assert.Positive(t, silent, "%s always fires", file)
	}
	output, err = monitoring.Promtool(t.Context(), append([]string{"test", "rules"}, files...)...)
	assert.NoError(t, err, output)
	assert.Equal(t, len(files), strings.Count(output, "SUCCESS"))
}

// cases returns the number of tests in a file that expect the alert to fire, and the number of those that expect it not to
// fire.
func cases(t *testing.T, file string) (fires, silent int) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var parsed struct {
		RuleFiles []string `yaml:"rule_files"`
		Tests     []struct {
			Rules []struct {
				Alert  string           `yaml:"alertname"`
				Alerts []map[string]any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(data, &parsed))
	require.Equal(t, []string{"../../../deploy/monitoring/rules.yaml"}, parsed.RuleFiles)
	for _, test := range parsed.Tests {
		for _, rule := range test.Rules {
			require.Equal(t, strings.TrimSuffix(filepath.Base(file), ".yaml"), rule.Alert)
			if len(rule.Alerts) > 0 {
				fires++
			} else {
				silent++
			}
		}
	}
	return fires, silent
}

const runbook = "https://jupyter-user.io/jupyter-user-webhook/deploy/docs/runbook.md#"

// TestAlertsAreInRunbook tests that each alert links to a section of the runbook, that the section names the alert, and that a row
// of the runbook's table of alerts leads from the alert to this section. Each alert has a severity, a summary, a description and a
// time to wait.
func TestAlertsAreInRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/docs/runbook.md")
	require.NoError(t, err)
	for _, alert := range alerts(t) {
		anchor, ours := strings.CutPrefix(alert.Annotations["runbook_url"], runbook)
		assert.True(t, ours, "%s: %s", alert.Alert, alert.Annotations["runbook_url"])
		section := sectionOf(string(text), anchor)
		assert.NotEmpty(t, section, "%s links to the section #%s, which does not exist", alert.Alert, anchor)
		assert.Contains(t, section, "`"+alert.Alert+"`", "the section #%s does not name the alert that links to it", anchor)
		assert.Regexp(t, `(?m)^\| .*`+"`"+alert.Alert+"`"+`.*\(#`+anchor+`\) \|$`, string(text), "the table of alerts")
		assert.Contains(t, []string{"critical", "warning", "info"}, alert.Labels["severity"], alert.Alert)
		assert.NotEmpty(t, alert.Annotations["summary"], alert.Alert)
		assert.NotEmpty(t, alert.Annotations["description"], alert.Alert)
		assert.NotEmpty(t, alert.For, "%s fires without waiting", alert.Alert)
	}
}

// sectionOf returns the text under the heading with an anchor.
func sectionOf(text, anchor string) string {
	for _, section := range strings.Split(text, "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		slug := strings.NewReplacer(" ", "-", "\"", "", "?", "", ":", "", ",", "", "`", "").Replace(strings.ToLower(title))
		if slug == anchor {
			return body
		}
	}
	return ""
}

const operatorHead = `# The rules of rules.yaml, for the Prometheus operator. Add the labels by which your Prometheus selects rules.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: jupyter-user-webhook
  namespace: jupyter-user-system
  labels:
    app.kubernetes.io/name: jupyter-user-webhook
spec:
`

// TestPrometheusRule tests that prometheusrule.yaml has the same rules as rules.yaml. UPDATE_GOLDEN=1 writes
// prometheusrule.yaml.
func TestPrometheusRule(t *testing.T) {
	t.Parallel()
	rules, err := monitoring.File("rules.yaml")
	require.NoError(t, err)
	_, groups, found := strings.Cut(string(rules), "\ngroups:\n")
	require.True(t, found)
	want := operatorHead
	for line := range strings.Lines("groups:\n" + groups) {
		want += "  " + line
	}
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		require.NoError(t, os.WriteFile("../../deploy/monitoring/prometheusrule.yaml", []byte(want), 0o644))
	}
	got, err := monitoring.File("prometheusrule.yaml")
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "UPDATE_GOLDEN=1 go test ./test/monitoring writes it")
	var object struct {
		Spec monitoring.Rules `yaml:"spec"`
	}
	require.NoError(t, yaml.Unmarshal(got, &object))
	plain, err := monitoring.ReadRules()
	require.NoError(t, err)
	assert.Equal(t, plain, object.Spec)
}
