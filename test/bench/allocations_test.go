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
// for the pods of 16 users in turn, whose strings it mostly has to make. The race detector allocates too, so it is left out there.
func TestAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		size, kind string
		users      int
		most       float64
	}{
		"injected":               {"6KB", "injected", 1, 150},
		"injected, of 16 people": {"6KB", "injected", 16, 165},
		"unlabelled":             {"6KB", "unlabelled", 1, 60},
		"already injected":       {"6KB", "already", 1, 250},
		"refused":                {"6KB", "refused", 1, 80},
		"60 KB":                  {"60KB", "injected", 16, 1_300},
		"1,500 variables":        {"1500env", "injected", 16, 3_300},
	} {
		t.Run(name, func(t *testing.T) {
			caller := newCaller(t, handlers.Ours, ofKind(t, c.size, c.kind)[:c.users])
			caller.Call()
			require.Equal(t, c.kind != "refused", response(t, caller).Allowed)
			require.Equal(t, c.kind == "injected", response(t, caller).Patch != nil)
			found := testing.AllocsPerRun(200, caller.Call)
			t.Logf("%.0f allocations", found)
			assert.LessOrEqual(t, found, c.most)
		})
	}
}
