package monitoring_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"jupyter-user.io/jupyter-user-webhook/test/monitoring"
)

// TestDashboardFitsOnScreen tests that the dashboard fits on one screen: Grafana's grid has 24 columns, and a screen of
// 1080 lines shows 24 rows. No panel covers another. Each panel has a description and a unit, and reads from the selected
// data source.
func TestDashboardFitsOnScreen(t *testing.T) {
	t.Parallel()
	dashboard, err := monitoring.ReadDashboard()
	require.NoError(t, err)
	require.NotEmpty(t, dashboard.Panels)
	var taken [24][24]string
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		assert.False(t, ids[panel.ID], "%s has the id of another panel", panel.Title)
		ids[panel.ID] = true
		assert.NotEmpty(t, panel.Description, "%s has no description", panel.Title)
		assert.NotEmpty(t, panel.Targets, "%s shows nothing", panel.Title)
		assert.NotEmpty(t, panel.FieldConfig.Defaults.Unit, "%s has no unit", panel.Title)
		assert.Equal(t, "${datasource}", panel.Datasource.UID, panel.Title)
		at := panel.GridPos
		require.True(t, at.X >= 0 && at.Y >= 0 && at.W > 0 && at.H > 0 && at.X+at.W <= 24 && at.Y+at.H <= 24,
			"%s does not fit on the screen", panel.Title)
		for y := at.Y; y < at.Y+at.H; y++ {
			for x := at.X; x < at.X+at.W; x++ {
				require.Empty(t, taken[y][x], "%s covers another panel", panel.Title)
				taken[y][x] = panel.Title
			}
		}
	}
}

// TestExpressions tests that Prometheus can parse every expression, and that the expressions read the metrics that an
// on-call engineer needs.
func TestExpressions(t *testing.T) {
	t.Parallel()
	queries, err := monitoring.Queries(t.Context())
	require.NoError(t, err)
	read := map[string]bool{}
	for _, query := range queries {
		assert.Empty(t, query.Fault, "%s: %s", query.Where, query.Expr)
		assert.NotEmpty(t, query.Series, "%s: %s", query.Where, query.Expr)
		for _, series := range query.Series {
			read[series.Name] = true
		}
	}
	for _, name := range []string{
		"jupyter_user_admissions_total", "jupyter_user_review_duration_seconds_bucket", "jupyter_user_identity_lookups_total",
		"jupyter_user_share_oldest_lookup_seconds", "jupyter_user_ldap_oldest_lookup_seconds", "jupyter_user_certificate_expiry_timestamp_seconds", "jupyter_user_build_info",
		"apiserver_validating_admission_policy_check_total",
	} {
		assert.True(t, read[name], "no expression reads %s", name)
	}
}

// TestThePanelOfASilentShare tests the panel "Share is silent for" with promtool. On a hard mount, where a lookup does not
// end, the panel shows the age of the oldest lookup. On a soft mount, where each lookup soon ends with an error, the panel
// shows the time since the last response, and 0 after the next response.
func TestThePanelOfASilentShare(t *testing.T) {
	t.Parallel()
	dashboard, err := monitoring.ReadDashboard()
	require.NoError(t, err)
	expression := ""
	for _, panel := range dashboard.Panels {
		if panel.Title == "Share is silent for" {
			expression = panel.Targets[0].Expr
		}
	}
	type object = map[string]any
	series := func(oldest, response, failure string) (found []object) {
		for name, values := range map[string]string{"oldest_lookup_seconds": oldest, "last_answer_timestamp_seconds": response,
			"last_failure_timestamp_seconds": failure} {
			found = append(found, object{"series": "jupyter_user_share_" + name + `{instance="a"}`, "values": values})
		}
		return found
	}
	at := func(when string, value int) object {
		return object{"expr": expression, "eval_time": when, "exp_samples": []object{{"labels": "{}", "value": value}}}
	}
	file := filepath.Join(t.TempDir(), "panel.yaml")
	text, err := yaml.Marshal(object{"evaluation_interval": "1m", "tests": []object{
		{"name": "no lookup fails", "interval": "1m", "input_series": series("0x10", "0+60x10", "0x10"),
			"promql_expr_test": []object{at("8m", 0)}},
		{"name": "a hard mount: a lookup does not end", "interval": "1m",
			"input_series":     series("0x5 30+60x10", "0+60x5 300x10", "0x15"),
			"promql_expr_test": []object{at("4m", 0), at("8m", 150)}},
		{"name": "a soft mount: lookups fail from minute 5 to minute 9", "interval": "1m",
			"input_series":     series("0x15", "0+60x5 300x4 600x5", "0x5 355+60x3 535x6"),
			"promql_expr_test": []object{at("4m", 0), at("8m", 180), at("12m", 0)}},
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	output, err := monitoring.Promtool(t.Context(), "test", "rules", file)
	assert.NoError(t, err, output)
}
