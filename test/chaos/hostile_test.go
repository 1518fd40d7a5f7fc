package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// maxMemory is the largest memory that a replica may have, in MiB, whatever clients send.
const maxMemory = 100

// TestHostileReviews changes a good review in many ways: it replaces each value by several other values, cuts the review
// off at many places, and writes odd texts in place of the user's name. Each review must get a correct AdmissionReview
// as its response.
func TestHostileReviews(t *testing.T) {
	r, client := startAlone(t)
	paths := []string{"/mutate", "/mutate/restricted", "/verify", "/verify/peer"}
	watch := machine.WatchDuring(t)
	var slowest time.Duration
	sent, denied := 0, 0
	for name, body := range hostileReviews(t) {
		path := paths[sent%len(paths)]
		sent++
		got, took, err := r.send(client, path, body)
		if took > time.Second { // Another process can have slowed the machine down.
			got, took, err = r.send(client, path, body)
		}
		if !assert.NoError(t, err, "%s gets an AdmissionReview from %s", name, path) {
			continue
		}
		slowest = max(slowest, took)
		if !got.Response.Allowed {
			denied++
			assert.Contains(t, []int{400, 403, 422, 503}, got.Response.Status.Code, name)
			assert.NotEmpty(t, got.Response.Status.Message, name)
			assert.Empty(t, got.Response.Patch, name)
		}
	}
	assert.GreaterOrEqual(t, sent, 200)
	assert.Greater(t, denied, 200, "most of the reviews are denied")
	within(t, watch, slowest, time.Second, "the slowest response")
	peak := r.assertHealthy(t, client)
	report(t, "≥ 200 correct responses, 0 dropped, 0 panics, each < 1 s, < 100 MiB, the next good review admitted",
		"%d sent, %d denied, %d panics, slowest %s, at most %.0f MiB", sent, denied, r.panics(), milliseconds(slowest), peak)
}

// TestHugeReviews sends reviews that are huge in bytes, in levels or in the number of list elements. Each review must be
// admitted or denied as expected, within a second.
func TestHugeReviews(t *testing.T) {
	r, client := startAlone(t)
	named := func(count int, element string) string {
		var list strings.Builder
		for i := range count {
			_, _ = fmt.Fprintf(&list, ","+element, i)
		}
		return list.String()[1:]
	}
	const start, end = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},"spec":{"containers":` +
		`[{"name":"nb","image":"x",`, `}]}}`
	deep := strings.Repeat("/x", 1300) + "/"
	watch := machine.WatchDuring(t)
	var figures []string
	for _, c := range []struct {
		name    string
		body    func() io.Reader
		code    int
		allowed bool
	}{
		{"200 MiB", func() io.Reader {
			return io.MultiReader(strings.NewReader(reviewOf(start)[:200]), io.LimitReader(blanks{}, 200<<20))
		}, 413, false},
		{"a million levels", func() io.Reader {
			return strings.NewReader(reviewOf(strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6)))
		}, 400, false},
		{"20,000 variables", func() io.Reader {
			return strings.NewReader(reviewOf(start + `"env":[` + named(20_000, `{"name":"V%d","value":"some value"}`) + `]` + end))
		}, 422, false},
		{"10,000 variables", func() io.Reader {
			return strings.NewReader(reviewOf(start + `"env":[` + named(10_000, `{"name":"V%d","value":"some value"}`) + `]` + end))
		}, 0, true},
		{"100,000 arguments", func() io.Reader {
			return strings.NewReader(reviewOf(start + `"args":[` + named(100_000, `"--argument=%d"`) + `]` + end))
		}, 422, false},
		{"10,000 arguments", func() io.Reader {
			return strings.NewReader(reviewOf(start + `"args":[` + named(10_000, `"--argument=%d"`) + `]` + end))
		}, 0, true},
		{"1,000 mounts of 2.6 KB", func() io.Reader {
			return strings.NewReader(reviewOf(start + `"volumeMounts":[` + named(1000, `{"name":"v","mountPath":"`+deep+`%d"}`) + `]` + end))
		}, 0, true},
		{"1,000 mounts in our init container", func() io.Reader {
			ours := `{"name":"jupyter-user-init","volumeMounts":[` + named(1000, `{"name":"v","mountPath":"/var/run/secrets/x`+deep+`%d"}`) + `]}`
			return strings.NewReader(reviewOf(start + `"x":0}],"initContainers":[` + ours + end[1:]))
		}, 0, true},
	} {
		var took time.Duration
		for range 3 { // Up to three times, because another process can slow the machine down.
			got, took1, err := r.sendReader(client, "/mutate", c.body())
			require.NoError(t, err, c.name)
			assert.Equal(t, c.allowed, got.Response.Allowed, c.name)
			assert.Equal(t, c.code, got.Response.Status.Code, c.name)
			if took = took1; took < time.Second {
				break
			}
		}
		within(t, watch, took, time.Second, c.name)
		figures = append(figures, c.name+" "+milliseconds(took))
	}
	peak := r.assertHealthy(t, client)
	report(t, "denied or admitted < 1 s, < 100 MiB", "%s; at most %.0f MiB", strings.Join(figures, ", "), peak)
}

// TestManyLargeReviews sends many reviews of 3 MiB at the same time, as anyone can do who can create Pods. The replica
// processes them one after the other. If a review would wait too long, the replica responds with status 503. Small
// reviews at the same time are not affected.
func TestManyLargeReviews(t *testing.T) {
	r, client := startAlone(t)
	large := reviewOf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},"spec":{"containers":[` +
		`{"name":"nb","image":"x","args":["` + strings.Repeat("x", 3<<20) + `"]}]}}`)
	var denied atomic.Int32
	beside := startLoad(20, r.reviewing(client))
	sent := callMany(200, func(context.Context) try {
		got, _, err := r.send(client, "/mutate", large)
		if err != nil && strings.Contains(err.Error(), "503 Service Unavailable") {
			denied.Add(1)
			return try{}
		}
		if err == nil && !got.Response.Allowed {
			err = fmt.Errorf("a good review is denied: %+v", got)
		}
		return try{err: err}
	})
	small := beside.stop()
	sent.assertWhole(t)
	small.assertWhole(t)
	assert.Less(t, int(denied.Load()), len(sent.tries), "some of them are admitted")
	peak := r.assertHealthy(t, client)
	report(t, "admitted or told to try again, < 100 MiB", "%d of 3 MiB by %d clients, %d told to try again, slowest %s; %d small reviews meanwhile, "+
		"%d failed, p99 %s; at most %.0f MiB", len(sent.tries), manyCallers, denied.Load(), milliseconds(sent.percentile(100)), len(small.tries),
		len(small.failed()), milliseconds(small.percentile(99)), peak)
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// assertHealthy fails if a good review is not admitted, if the replica has panicked, or if it has taken too much memory.
// It returns the replica's peak memory, in MiB.
func (r *replica) assertHealthy(t *testing.T, client *http.Client) (peak float64) {
	t.Helper()
	got, _, err := r.send(client, "/mutate", goodReview)
	require.NoError(t, err)
	assert.True(t, got.Response.Allowed)
	assert.NotEmpty(t, got.Response.Patch)
	assert.Zero(t, r.panics(), r)
	peak = r.memory(t, "VmHWM")
	assert.Less(t, peak, float64(maxMemory), "MiB")
	return peak
}

// hostileReviews returns the changed reviews, by a description of the change.
func hostileReviews(t *testing.T) map[string]string {
	t.Helper()
	body := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},` +
		`"spec":{"containers":[{"name":"nb","image":"x"}]}}`
	atStart := golden.Case{Config: config.Default()}
	admitted, err := pod.Apply([]byte(body), atStart.Decide([]byte(body)).Operations)
	require.NoError(t, err)
	good := reviewOf(string(admitted))
	hostile := map[string]string{}
	for at := 1; at < len(good); at += len(good)/150 + 1 {
		hostile[fmt.Sprintf("the first %d bytes", at)] = good[:at]
	}
	var document any
	require.NoError(t, json.Unmarshal([]byte(good), &document))
	replaceEach(document, "", func(path string, with any) {
		raw, err := json.Marshal(document)
		require.NoError(t, err)
		hostile[fmt.Sprintf("%s is %v", path, with)] = string(raw)
	})
	for name, value := range map[string]string{
		"a zero byte": "\x00", "no UTF-8": "\xff\xfe", "half a surrogate": `\ud800`, "a terminal's command": `\u001b]0;x\u0007`,
		"a very long number": strings.Repeat("9", 1e5), "a very long text": strings.Repeat("x", 1e6), "another user": `alice","x":"y`,
	} {
		hostile[name] = strings.Replace(good, "alice", value, 1)
		hostile[name+", everywhere"] = strings.ReplaceAll(good, "alice", value[:min(len(value), 1e4)])
	}
	return hostile
}

// replaceEach replaces each value inside a document by several other values, one at a time, and calls the function "visit"
// after each replacement.
func replaceEach(value any, path string, visit func(path string, with any)) {
	others := []any{nil, true, -1.5, 1e300, "\u202e", []any{}, []any{map[string]any{}}, map[string]any{"": nil}}
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			kept := v[key]
			for _, other := range others {
				v[key] = other
				visit(path+"/"+key, other)
			}
			v[key] = kept
			replaceEach(kept, path+"/"+key, visit)
		}
	case []any:
		for i, kept := range v {
			for _, other := range others {
				v[i] = other
				visit(fmt.Sprintf("%s/%d", path, i), other)
			}
			v[i] = kept
			replaceEach(kept, fmt.Sprintf("%s/%d", path, i), visit)
		}
	}
}
