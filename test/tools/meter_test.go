package tools

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// after lets time pass, which in synctest takes none.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestLogOfACIGetsALineNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := startMeter(&out, KubeAPIServer, "building")
		m.downloaded()
		m.downloaded()
		after(repeatEvery)
		m.expect(1630)
		m.compiled()
		after(2*repeatEvery + time.Second)
		m.say("linking")
		after(repeatEvery)
		m.end("built")
		m.end("not built")
		after(time.Minute)
		assert.Equal(t, `kube-apiserver  building
kube-apiserver  downloading modules (2)  15s
kube-apiserver  1/1630 packages  30s
kube-apiserver  1/1630 packages  45s
kube-apiserver  linking  1m0s
kube-apiserver  built in 1m1s
`, out.String())
	})
}

func TestTerminalGetsOneLineDrawnAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMeter(&out, Etcd, "building")
		m.terminal = true
		m.start()
		m.expect(2)
		after(redrawEvery)
		m.compiled()
		after(redrawEvery)
		m.end("built")
		const anew = "\r\x1b[K"
		assert.Equal(t, anew+"etcd  building"+anew+"etcd  0/2 packages  1s"+anew+"etcd  1/2 packages  2s"+
			anew+"etcd  built in 2s\n", out.String())
	})
}

func TestNobodyNeedsToWatch(*testing.T) {
	m := startMeter(nil, Etcd, "building")
	m.end("built")
}

func TestLinesAreHandedOnWhole(t *testing.T) {
	var got []string
	l := &lines{each: func(line string) { got = append(got, line) }}
	for _, piece := range []string{"a", "b\nc\n\n", "d"} {
		n, err := l.Write([]byte(piece))
		require.NoError(t, err)
		assert.Len(t, piece, n)
	}
	assert.Equal(t, []string{"ab", "c", ""}, got)
}

func TestTailKeepsTheEnd(t *testing.T) {
	said := &tail{}
	for i := range tailLines + 5 {
		said.add(string(rune('a' + i)))
	}
	assert.Len(t, said.lines, tailLines)
	assert.Equal(t, "f", said.lines[0])
}
