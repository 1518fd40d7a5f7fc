package progress

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// advanceClock advances the fake clock of synctest, and waits until the Meter has written what is due.
func advanceClock(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestMeterInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := Start(&out, "kube-apiserver", "building")
		m.Downloaded()
		m.Downloaded()
		advanceClock(repeatEvery)
		m.Expect(1630)
		m.Compiled()
		advanceClock(2*repeatEvery + time.Second)
		m.Say("linking")
		advanceClock(repeatEvery)
		m.End("built")
		m.End("not built")
		advanceClock(time.Minute)
		assert.Equal(t, `kube-apiserver  building
kube-apiserver  downloading modules (2)  15s
kube-apiserver  1/1630 packages  30s
kube-apiserver  1/1630 packages  45s
kube-apiserver  linking  1m0s
kube-apiserver  built in 1m1s
`, out.String())
	})
}

func TestMeterOnTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMeter(&out, "etcd", "building")
		m.terminal = true
		m.start()
		m.Expect(2)
		advanceClock(redrawEvery)
		m.Compiled()
		advanceClock(redrawEvery)
		m.End("built")
		const redraw = "\r\x1b[K"
		assert.Equal(t, redraw+"etcd  building"+redraw+"etcd  0/2 packages  1s"+redraw+"etcd  1/2 packages  2s"+
			redraw+"etcd  built in 2s\n", out.String())
	})
}

func TestMeterWithoutOutput(*testing.T) {
	m := Start(nil, "etcd", "building")
	m.End("built")
}
