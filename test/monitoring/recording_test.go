package monitoring_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/monitoring"
)

// TestAlertOnRecording records a minute. The share responds at every sample until second 10, and again at seconds 40 and
// 42. From second 12 until second 38, a lookup fails at every sample. The alert must fire at second 38, and must not fire
// before these failures or after them.
func TestAlertOnRecording(t *testing.T) {
	t.Parallel()
	const every, stretch = 2 * time.Second, 6
	began := time.Unix(1_700_000_000, 0)
	at := func(second int) time.Time { return began.Add(time.Duration(second) * time.Second) }
	r, err := monitoring.NewRecording("JupyterUserShareHangs", every, began)
	require.NoError(t, err)
	response, failure := began.Unix(), int64(0)
	for second := 0; second <= 60; second += 2 {
		if second <= 10 || second >= 40 && second < 44 {
			response = at(second).Unix()
		}
		if second > 10 && second < 40 {
			failure = at(second).Unix()
		}
		require.NoError(t, r.Add(at(second), "a", strings.NewReader(fmt.Sprintf(`# TYPE jupyter_user_share_oldest_lookup_seconds gauge
jupyter_user_share_oldest_lookup_seconds 0
# TYPE jupyter_user_share_last_answer_timestamp_seconds gauge
jupyter_user_share_last_answer_timestamp_seconds %d
# TYPE jupyter_user_share_last_failure_timestamp_seconds gauge
jupyter_user_share_last_failure_timestamp_seconds %d
`, response, failure))))
	}
	quiet := func(when time.Time) bool { return !when.After(at(10)) || !when.Before(at(40)) }
	assert.NoError(t, r.CheckAlert(t.Context(), stretch, []time.Time{at(38)}, quiet))
	assert.ErrorContains(t, r.CheckAlert(t.Context(), stretch, []time.Time{at(50)}, quiet), "FAILED", "not after the outage")
	assert.ErrorContains(t, r.CheckAlert(t.Context(), stretch, nil, func(time.Time) bool { return true }), "FAILED", "the alert fires during the outage")
	assert.ErrorContains(t, r.CheckAlert(t.Context(), 1, []time.Time{at(38)}, quiet), "FAILED", "half a minute alone is too short for the alert")
}
