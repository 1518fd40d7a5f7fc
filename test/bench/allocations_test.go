//go:build !race

package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
)

// TestAllocations is the gate that needs no quiet machine: how often one review allocates, from the body to the answer, with its
// log line and its metrics. The decoder remembers short strings; so there is one gate for a pod that comes again and again, and one
// for the pods of 16 people in turn, whose strings it mostly has to make. The race detector allocates too, so it is left out there.
func TestAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		people int
		most   float64
	}{
		"injected":               {"injected", 1, 150},
		"injected, of 16 people": {"injected", 16, 200},
		"unlabelled":             {"unlabelled", 1, 60},
		"already injected":       {"already", 1, 250},
		"refused":                {"refused", 1, 80},
	} {
		t.Run(name, func(t *testing.T) {
			caller := newCaller(t, handlers.Ours, ofKind(t, "6KB", c.kind)[:c.people])
			caller.call()
			require.Equal(t, c.kind != "refused", caller.response(t).Allowed)
			require.Equal(t, c.kind == "injected", caller.response(t).Patch != nil)
			found := testing.AllocsPerRun(200, caller.call)
			t.Logf("%.0f allocations", found)
			assert.LessOrEqual(t, found, c.most)
		})
	}
}
