package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// pace is how many Pods a second are created, five times what SIG Scalability holds a cluster to.
	pace = 100
	// keeps is what is left of an API server's own rate when each Pod that it creates is a notebook, on a machine that does not keep
	// the pace. It was 0.42 where that was measured.
	keeps = 0.2
)

// TestSteadyLoad creates Pods at a steady pace, and looks whether anything grows.
func TestSteadyLoad(t *testing.T) {
	c := newCluster(t)
	replicas := c.two(t)
	creating := c.creating()
	// What is only there once it has been needed is there before anything is measured.
	burst(200, creating).assertWhole(t)
	alone := beginLoad(few, unpaced, 300, c.creatingPlain()).end()
	alone.assertWhole(t)
	ours := beginLoad(few, unpaced, 300, creating).end()
	ours.assertWhole(t)
	before := c.atRest(t, replicas)

	l := paced(pace, creating)
	memory := watch(t, replicas)
	o := l.stop()
	o.assertWhole(t)
	if o.rate() < 0.95*pace {
		assert.Greater(t, o.rate(), keeps*alone.rate(), "creates a second, of an API server that alone does %.0f", alone.rate())
		figures.excuse(t.Name(), fmt.Sprintf("the machine does not keep the pace: an API server alone creates %.0f/s", alone.rate()))
	}
	assert.LessOrEqual(t, memory.grown(), played.grown, "%v", memory)
	goroutines := before
	require.Eventually(t, func() bool {
		goroutines = c.atRest(t, replicas)
		return goroutines <= before
	}, wait, 100*time.Millisecond, "there were %d goroutines at rest", before)
	report(t, "100/s, 0 errors, 0 uninjected, memory +5 % at most (short: +25 %), goroutines flat",
		"unpaced %.0f/s, an API server alone %.0f/s; %s; memory %+.1f %%, %.0f MiB the most, goroutines %d before and %d after", ours.rate(), alone.rate(), o, (memory.grown()-1)*100,
		max(replicas[0].memory(t, "VmHWM"), replicas[1].memory(t, "VmHWM")), before, goroutines)
}

// atRest counts the goroutines of replicas that nobody is connected to.
func (c *cluster) atRest(t *testing.T, replicas []*replica) (goroutines int) {
	t.Helper()
	c.cut()
	for _, r := range replicas {
		goroutines += int(r.goroutines(t))
	}
	return goroutines
}

// samples of the MiB that the replicas have, both together.
type samples []float64

// watch takes twenty samples in the time that a steady load lasts.
func watch(t *testing.T, replicas []*replica) (s samples) {
	t.Helper()
	for range 20 {
		<-time.After(played.steady / 20)
		s = append(s, replicas[0].memory(t, "VmRSS")+replicas[1].memory(t, "VmRSS"))
	}
	return s
}

// grown compares the last five samples with the first five.
func (s samples) grown() float64 {
	sum := func(values samples) (sum float64) {
		for _, v := range values {
			sum += v
		}
		return sum
	}
	return sum(s[15:]) / sum(s[:5])
}

// TestBurst is a course that begins: 500 pods at once.
func TestBurst(t *testing.T) {
	c := newCluster(t)
	c.two(t)
	const pods = 500
	o := burst(pods, c.creating())
	o.assertWhole(t)
	require.Len(t, o.tries, pods)
	report(t, "0 errors, 0 timeouts", "%s", o)
}
