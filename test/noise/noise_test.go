package noise

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNoiseIsFound(t *testing.T) {
	const quiet = `=== test
kube-apiserver  building, once; later runs find it in the cache
ok  	jupyter-user.io/jupyter-user-webhook/certs	2.9s
fuzz FuzzPods of test/property for 30000x
    12.4 s  images
`
	for what, line := range map[string]string{
		"a stack trace":      "goroutine 12 [running]:",
		"panic":              "panic: runtime error: index out of range",
		"a frame":            "\t/usr/local/go/src/runtime/panic.go:783 +0x132",
		"controller-runtime": "[controller-runtime] log.SetLogger(...) was never called; logs will not be displayed.",
		"its stack trace":    "  >  goroutine 1 [running]:",
		"klog":               "W1128 15:35:57.123456   12345 warnings.go:70] unknown field",
		"a race":             "WARNING: DATA RACE",
	} {
		f := &Finder{Now: time.Now}
		var out strings.Builder
		found, err := f.Copy(&out, strings.NewReader(quiet+line+"\n"))
		require.NoError(t, err)
		require.Len(t, found, 1, what)
		assert.True(t, strings.HasSuffix(found[0], ": "+line), found[0])
		assert.Equal(t, quiet+line+"\n", out.String(), "everything is passed on")
	}
}

func TestProgressInterval(t *testing.T) {
	now := time.Unix(0, 0)
	f := &Finder{Now: func() time.Time { return now }}
	assert.Empty(t, f.Find("etcd  124/565 packages  15s"))
	assert.Empty(t, f.Find("helm  1/20 packages  15s"), "another one")
	now = now.Add(15 * time.Second)
	assert.Empty(t, f.Find("etcd  275/565 packages  30s"))
	now = now.Add(2 * time.Second)
	assert.Equal(t, "progress 2s after the last", f.Find("etcd  280/565 packages  1m2s"))
}
