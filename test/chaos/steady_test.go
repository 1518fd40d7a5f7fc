package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// pace is the number of Pods to create per second. It is five times the rate that SIG Scalability tests.
	pace = 100
	// minRatio is the lowest accepted ratio between the rate of notebooks and the rate of other Pods, on a machine that is
	// too slow for the pace. A measurement gave 0.42.
	minRatio = 0.2
)

// TestSteadyLoad creates notebooks at a steady rate. It fails if a creation fails, if memory grows by more than
// chosenForm.growth, or if more goroutines remain after the load than there were before it.
func TestSteadyLoad(t *testing.T) {
	c := newCluster(t)
	replicas := c.startTwo(t)
	creating := c.creating()
	// The first Pods let the replicas make those allocations that they make only once.
	callMany(200, creating).assertWhole(t)
	alone := beginLoad(fewCallers, unpaced, 300, c.creatingPlain()).end()
	alone.assertWhole(t)
	ours := beginLoad(fewCallers, unpaced, 300, creating).end()
	ours.assertWhole(t)
	before := c.idleGoroutines(t, replicas)

	l := startLoad(pace, creating)
	memory := sampleMemory(t, replicas)
	o := l.stop()
	o.assertWhole(t)
	if o.rate() < 0.95*pace {
		// Other programs can have made the machine slower in the meantime.
		again := beginLoad(fewCallers, unpaced, 300, c.creatingPlain()).end()
		again.assertWhole(t)
		slower := min(alone.rate(), again.rate())
		assert.Greater(t, o.rate(), minRatio*slower, "creates a second; the API server alone has %.0f", slower)
		figures.excuse(t.Name(), fmt.Sprintf("the machine is too slow: an API server alone creates %.0f/s", slower))
	}
	assert.LessOrEqual(t, memory.growth(), chosenForm.growth, "%v", memory)
	goroutines := before
	require.Eventually(t, func() bool {
		goroutines = c.idleGoroutines(t, replicas)
		return goroutines <= before
	}, wait, 100*time.Millisecond, "there were %d goroutines at rest", before)
	report(t, "100/s, 0 errors, 0 without injection, memory +5 % at most (short form: +25 %), no more goroutines",
		"without a pause %.0f/s, an API server alone %.0f/s; %s; memory %+.1f %%, at most %.0f MiB, goroutines %d before and %d after", ours.rate(), alone.rate(), o, (memory.growth()-1)*100,
		max(replicas[0].memory(t, "VmHWM"), replicas[1].memory(t, "VmHWM")), before, goroutines)
}

// idleGoroutines closes all connections of the Service, and then returns the number of the replicas' goroutines.
func (c *cluster) idleGoroutines(t *testing.T, replicas []*replica) (goroutines int) {
	t.Helper()
	c.closeConnections()
	for _, r := range replicas {
		goroutines += int(r.goroutines(t))
	}
	return goroutines
}

// samples are measurements of the memory of both replicas together, in MiB.
type samples []float64

// sampleMemory takes twenty samples during the steady load.
func sampleMemory(t *testing.T, replicas []*replica) (s samples) {
	t.Helper()
	for range 20 {
		<-time.After(chosenForm.steady / 20)
		s = append(s, replicas[0].memory(t, "VmRSS")+replicas[1].memory(t, "VmRSS"))
	}
	return s
}

// growth returns the ratio of the last five samples to the first five.
func (s samples) growth() float64 {
	sum := func(values samples) (sum float64) {
		for _, v := range values {
			sum += v
		}
		return sum
	}
	return sum(s[15:]) / sum(s[:5])
}

// TestBurst creates 500 notebooks as fast as possible, as at the beginning of a course.
func TestBurst(t *testing.T) {
	c := newCluster(t)
	c.startTwo(t)
	const pods = 500
	o := callMany(pods, c.creating())
	o.assertWhole(t)
	require.Len(t, o.tries, pods)
	report(t, "0 errors, 0 timeouts", "%s", o)
}
