package integration

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// podCreations counts the API server's responses to creations of Pods. The field codes has the number of responses for
// each status code. The field within has, for each time limit, the number of responses that took no longer. The time
// limits are the upper bounds of the metric's buckets.
type podCreations struct {
	codes  map[string]int
	within map[time.Duration]int
}

// countPodCreations reads the numbers from the API server's metrics.
func (c *cluster) countPodCreations(t *testing.T) podCreations {
	t.Helper()
	raw, err := c.Admin.Kubectl(t.Context(), "get", "--raw", "/metrics")
	require.NoError(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(raw.Stdout))
	require.NoError(t, err)
	p := podCreations{map[string]int{}, map[time.Duration]int{}}
	eachCreation := func(family string, add func(labels map[string]string, series *dto.Metric)) {
		require.Contains(t, families, family)
		for _, series := range families[family].GetMetric() {
			labels := map[string]string{}
			for _, label := range series.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["verb"] == http.MethodPost && labels["resource"] == "pods" && labels["subresource"] == "" && labels["dry_run"] == "" {
				add(labels, series)
			}
		}
	}
	eachCreation("apiserver_request_total", func(labels map[string]string, series *dto.Metric) {
		p.codes[labels["code"]] += int(series.GetCounter().GetValue())
	})
	eachCreation("apiserver_request_duration_seconds", func(_ map[string]string, series *dto.Metric) {
		for _, bucket := range series.GetHistogram().GetBucket() {
			if limit := bucket.GetUpperBound(); !math.IsInf(limit, 1) {
				p.within[time.Duration(limit*float64(time.Second))] += int(bucket.GetCumulativeCount())
			}
		}
	})
	return p
}

// assertCreatedOnce asserts that between the count "before" and the later count p, each user's Pod was created at the first
// attempt, and no other Pod was created. It returns the shortest time limit within which all responses came.
func (p podCreations) assertCreatedOnce(t *testing.T, before podCreations) time.Duration {
	t.Helper()
	for code, n := range before.codes {
		p.codes[code] -= n
	}
	maps.DeleteFunc(p.codes, func(_ string, n int) bool { return n == 0 })
	assert.Equal(t, map[string]int{"201": hubUsers}, p.codes, "responses to creations of Pods")
	for _, limit := range slices.Sorted(maps.Keys(p.within)) {
		if p.within[limit]-before.within[limit] >= hubUsers {
			return limit
		}
	}
	require.Fail(t, "a response took longer than the largest bucket")
	return 0
}
