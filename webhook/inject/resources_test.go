package inject

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

func TestWhatIsGuaranteed(t *testing.T) {
	for resources, want := range map[string]bool{
		`null`:                          false,
		`{}`:                            false,
		`{"limits": {"memory": "1Gi"}}`: false,
		`{"requests": {"cpu": "1"}}`:    false,
		`{"limits": {"cpu": "1"}}`:      true,
		`{"limits": {"cpu": 1}, "requests": {"cpu": "1000m"}}`:                              true,
		`{"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}`:                                false,
		`{"limits": {"cpu": "0"}, "requests": {"cpu": "0"}}`:                                false,
		`{"limits": {"cpu": "much"}, "requests": {"cpu": "much"}}`:                          false,
		`{"limits": {"cpu": "1"}, "requests": {"cpu": "much"}}`:                             false,
		`{"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}, "claims": [{"name": ""}]}`: true,
	} {
		t.Run(resources, func(t *testing.T) {
			var r *pod.Resources
			require.NoError(t, json.Unmarshal([]byte(resources), &r))
			assert.Equal(t, want, isGuaranteed(r, "cpu"))
		})
	}
}
