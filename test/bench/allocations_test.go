//go:build !race

package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
)

// TestAllocations is the gate that needs no quiet machine: how often one review allocates, from the body to the answer, with its
// log line and its metrics. The race detector allocates too, so it is left out there.
func TestAllocations(t *testing.T) {
	for kind, most := range map[string]float64{"injected": 150, "unlabelled": 90, "already": 150, "refused": 110} {
		t.Run(kind, func(t *testing.T) {
			c := newCaller(t, handlers.Ours, "/mutate", ofKind(t, "6KB", kind))
			c.call()
			require.Equal(t, kind != "refused", c.response(t).Allowed)
			require.Equal(t, kind == "injected", c.response(t).Patch != nil)
			found := testing.AllocsPerRun(200, c.call)
			t.Logf("%.0f allocations", found)
			assert.LessOrEqual(t, found, most)
		})
	}
}
