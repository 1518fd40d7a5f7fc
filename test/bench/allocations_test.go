//go:build !race

package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
)

// TestAllocations limits the number of allocations of one review, from the body to the response, with its log line and its
// metrics. The number does not depend on the speed of the machine. The decoder caches short strings. So there are two
// limits for the 6 KB Pod that the webhook injects: one for repeated reviews of the same Pod, and one for the Pods of 16
// users in turn, whose strings are mostly not cached. The race detector allocates too, so the test is not built with it.
func TestAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		size, kind string
		users      int
		most       float64
	}{
		"injected":              {"6KB", "injected", 1, 150},
		"injected for 16 users": {"6KB", "injected", 16, 165},
		"unlabelled":            {"6KB", "unlabelled", 1, 60},
		"already injected":      {"6KB", "already", 1, 250},
		"denied":                {"6KB", "denied", 1, 84},
		"60 KB":                 {"60KB", "injected", 16, 1_300},
		"1,500 variables":       {"1500env", "injected", 16, 3_300},
	} {
		t.Run(name, func(t *testing.T) {
			caller := newCaller(t, handlers.Ours, reviewsOfKind(t, c.size, c.kind)[:c.users])
			caller.Call()
			require.Equal(t, c.kind != "denied", response(t, caller).Allowed)
			require.Equal(t, c.kind == "injected", response(t, caller).Patch != nil)
			found := testing.AllocsPerRun(200, caller.Call)
			t.Logf("%.0f allocations", found)
			assert.LessOrEqual(t, found, c.most)
		})
	}
}
