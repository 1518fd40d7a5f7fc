package monitoring_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
