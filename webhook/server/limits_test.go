//go:build !race

// These tests use reviews of up to 3.9 MB, and some of them measure memory. They are skipped with the race detector, which
// needs memory itself and takes twenty times as long.

package server_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// longestList returns a list of 3.9 MB, which still fits into a review of the maximum size.
func longestList(element func(i int) string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := 0; b.Len() < 3_900_000; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(element(i))
	}
	b.WriteByte(']')
	return b.String()
}

func always(text string) func(int) string { return func(int) string { return text } }

// longestMap returns a map of 3.9 MB.
func longestMap() string {
	list := longestList(func(i int) string { return fmt.Sprintf(`"%x":""`, i) })
	return "{" + list[1:len(list)-1] + "}"
}

// tooLongPods returns Pods of less than 4 MiB with lists or maps that are too long. For each it also returns the field and
// a part of the message of the denial.
func tooLongPods() map[string]struct{ pod, field, message string } {
	container := func(rest string) string { return string(notebookWith("", rest)) }
	const tooManyMessage = ", and a notebook has at most %d: leave some out"
	const keys = " keys, and a map of a notebook has at most 20000: leave some out"
	pods := map[string]struct{ pod, field, message string }{
		"containers": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"jupyter-user":"alice"}},"spec":{"containers":` +
			longestList(func(i int) string { return fmt.Sprintf(`{"name":"%x"}`, i) }) + `}}`, "spec.containers", fmt.Sprintf(tooManyMessage, 200)},
		"empty containers": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"jupyter-user":"alice"}},"spec":{"containers":` +
			longestList(always("{}")) + `}}`, "spec.containers", fmt.Sprintf(tooManyMessage, 200)},
		"init containers": {string(notebookWith(`"initContainers":`+longestList(always("{}"))+`,`, "")), "spec.initContainers", fmt.Sprintf(tooManyMessage, 200)},
		"debug containers": {string(notebookWith(`"ephemeralContainers":`+longestList(always("{}"))+`,`, "")), "spec.ephemeralContainers",
			fmt.Sprintf(tooManyMessage, 200)},
		"volumes":      {string(notebookWith(`"volumes":`+longestList(always("{}"))+`,`, "")), "spec.volumes", fmt.Sprintf(tooManyMessage, 500)},
		"pull secrets": {string(notebookWith(`"imagePullSecrets":`+longestList(always("{}"))+`,`, "")), "spec.imagePullSecrets", fmt.Sprintf(tooManyMessage, 1000)},
		"groups":       {string(notebookWith(`"securityContext":{"supplementalGroups":`+longestList(always("0"))+`},`, "")), "spec.securityContext.supplementalGroups", fmt.Sprintf(tooManyMessage, 1000)},
		"mounts":       {container(`,"volumeMounts":` + longestList(always("{}"))), "spec.containers[0].volumeMounts", fmt.Sprintf(tooManyMessage, 1000)},
		"devices":      {container(`,"volumeDevices":` + longestList(always("{}"))), "spec.containers[0].volumeDevices", fmt.Sprintf(tooManyMessage, 1000)},
		"ports":        {container(`,"ports":` + longestList(always("{}"))), "spec.containers[0].ports", fmt.Sprintf(tooManyMessage, 1000)},
		"variables":    {container(`,"env":` + longestList(always("{}"))), "spec.containers[0].env", fmt.Sprintf(tooManyMessage, 10000)},
		"envFrom":      {container(`,"envFrom":` + longestList(always("{}"))), "spec.containers[0].envFrom", fmt.Sprintf(tooManyMessage, 1000)},
		"arguments":    {container(`,"args":` + longestList(always(`""`))), "spec.containers[0].args", fmt.Sprintf(tooManyMessage, 10000)},
		"command":      {container(`,"command":` + longestList(always(`""`))), "spec.containers[0].command", fmt.Sprintf(tooManyMessage, 10000)},
		"hook command": {container(`,"lifecycle":{"preStop":{"exec":{"command":` + longestList(always(`""`)) + `}}}`), "spec.containers[0].lifecycle.preStop.exec.command", fmt.Sprintf(tooManyMessage, 10000)},
		"capabilities": {container(`,"securityContext":{"capabilities":{"add":` + longestList(always(`""`)) + `}}`), "spec.containers[0].securityContext.capabilities.add", fmt.Sprintf(tooManyMessage, 10000)},
		"requests":     {container(`,"resources":{"requests":` + longestMap() + `}`), "", keys},
		"rules":        {container(`,"restartPolicyRules":` + longestList(always("{}"))), "spec.containers[0].restartPolicyRules", fmt.Sprintf(tooManyMessage, 1000)},
		"labels": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":` + `{"jupyter-user":"alice",` +
			longestMap()[1:] + `},"spec":{"containers":[]}}`,
			"", keys},
		"annotations": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"jupyter-user":"alice"},"annotations":` + longestMap() +
			`},"spec":{"containers":[]}}`, "", keys},
		"nodeSelector":  {string(notebookWith(`"nodeSelector":`+longestMap()+`,`, "")), "", keys},
		"unknown field": {string(notebookWith(`"x":[{"y":`+longestMap()+`}],`, "")), "", keys},
	}
	mounts := repeated(1000, func(int) string { return "{}" })
	pods["mounts of many containers"] = struct{ pod, field, message string }{`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p",` +
		`"labels":{"jupyter-user":"alice"}},"spec":{"containers":` + repeated(200, func(i int) string {
		return fmt.Sprintf(`{"name":"c%d","volumeMounts":%s,"ports":%s,"args":%s}`, i, mounts, mounts, repeated(4000, func(int) string { return `""` }))
	}) + `}}`, "spec.containers", "the mounts, variables, arguments and other lists of these containers have more than 30000 elements in total: leave some out"}
	return pods
}

// TestTooLongLists tests that the denial names the list that is too long. For a map, the denial names no field.
func TestTooLongLists(t *testing.T) {
	e := newEdge(t, nil)
	for name, c := range tooLongPods() {
		t.Run(name, func(t *testing.T) {
			require.Less(t, len(c.pod), 4<<20)
			for _, path := range []string{"/mutate", "/verify"} {
				began := time.Now()
				_, r := e.post(t, path, review(c.pod))
				t.Logf("%s: %s", path, time.Since(began).Round(time.Millisecond))
				require.False(t, r.Response.Allowed, path)
				assert.Equal(t, 422, r.Response.Status.Code)
				assert.Equal(t, "TooMany", r.Response.Status.Reason)
				require.Len(t, r.Response.Status.Details.Causes, 1)
				assert.Equal(t, c.field, r.Response.Status.Details.Causes[0].Field)
				assert.Contains(t, r.Response.Status.Details.Causes[0].Message, c.message)
			}
		})
	}
	_, r := e.post(t, "/mutate", review(tooLongPods()["empty containers"].pod))
	assert.Contains(t, r.Response.Status.Message, "spec.containers: there are 1300000, and a notebook has at most 200")
}

// TestMemoryOfLargeReviews measures the allocated memory of one review, including memory that is freed. Without the
// limits, a Pod with 210,000 containers (3.9 MB of JSON) took 300 MB of memory.
func TestMemoryOfLargeReviews(t *testing.T) {
	w := webhook.New(config.Default(), nil)
	for name, c := range tooLongPods() {
		t.Run(name, func(t *testing.T) {
			raw := []byte(c.pod)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			d := w.Decide(context.Background(), webhook.Review{Pod: raw, Namespace: "lab"})
			runtime.ReadMemStats(&after)
			require.NotEmpty(t, d.Denials)
			took := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%d MiB", took)
			assert.LessOrEqual(t, took, uint64(32), "MiB")
		})
	}
}

// TestMemoryOfSmallReviews measures reviews that are smaller than smallBodySize, and so do not wait for each other
// (turns.go).
func TestMemoryOfSmallReviews(t *testing.T) {
	w := webhook.New(config.Default(), nil)
	for name, pod := range map[string][]byte{
		"a script that expands": notebookWith("", `,"command":["sh","-c","`+strings.Repeat("$B ", 2730)+`"],"env":[{"name":"B","value":"`+
			strings.Repeat("a", 8192)+`"}],"volumeMounts":[{"name":"hpc-shared-volume","mountPath":"/all"}]`),
		"containers": []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"jupyter-user":"alice"}},"spec":{"containers":` +
			repeated(20_000, func(int) string { return "{}" }) + `}}`),
		"mounts":  notebookWith("", `,"volumeMounts":`+repeated(20_000, func(int) string { return "{}" })),
		"volumes": notebookWith(`"volumes":`+repeated(20_000, func(int) string { return "{}" })+`,`, ""),
	} {
		t.Run(name, func(t *testing.T) {
			require.Less(t, len(pod), 64<<10)
			var before, after runtime.MemStats
			// The second collection empties the pools, because each of many concurrent reviews can need new buffers.
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&before)
			d := w.Decide(context.Background(), webhook.Review{Pod: pod, Namespace: "lab"})
			runtime.ReadMemStats(&after)
			require.NotEmpty(t, d.Denials)
			took := (after.TotalAlloc - before.TotalAlloc) >> 10
			t.Logf("%d KiB", took)
			assert.Less(t, took, uint64(768), "KiB")
		})
	}
}

// TestUnclaimedPodWithTooLongList tests that the mutating webhook admits a Pod that is not claimed, even if one of its lists is
// too long.
func TestUnclaimedPodWithTooLongList(t *testing.T) {
	e := newEdge(t, nil)
	containers := longestList(func(i int) string { return fmt.Sprintf(`{"name":"%x"}`, i) })
	for name, metadata := range map[string]string{
		"no label":    `{"name":"p"}`,
		"a hub's Pod": `{"name":"p","labels":{"hub.jupyter.org/username":"alice"}}`,
		"opted out":   `{"name":"p","labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"false"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			pod := `{"apiVersion":"v1","kind":"Pod","metadata":` + metadata + `,"spec":{"containers":` + containers + `}}`
			status, r := e.post(t, "/mutate", review(pod))
			assert.Equal(t, http.StatusOK, status)
			assert.True(t, r.Response.Allowed)
			assert.Empty(t, r.Response.Patch)
			d := webhook.New(config.Default(), nil).Decide(t.Context(), webhook.Review{Pod: []byte(pod)})
			assert.NotEmpty(t, d.Unclaimed, "inject --explain prints it")
		})
	}
}

// TestLongestLists tests that Pods exactly at a limit are injected.
func TestLongestLists(t *testing.T) {
	named := func(prefix string) func(int) string {
		return func(i int) string { return fmt.Sprintf(`{"name":"%s%d"}`, prefix, i) }
	}
	w := webhook.New(config.Default(), nil)
	for name, pod := range map[string][]byte{
		"containers": []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"jupyter-user":"alice"}},"spec":{"containers":` +
			repeated(200, named("c")) + `}}`),
		"init containers": notebookWith(`"initContainers":`+repeated(200, named("i"))+`,`, ""),
		"volumes":         notebookWith(`"volumes":`+repeated(500, named("v"))+`,`, ""),
		"mounts": notebookWith("", `,"volumeMounts":`+repeated(1000, func(i int) string {
			return fmt.Sprintf(`{"name":"v","mountPath":"/m/%d"}`, i)
		})),
		"variables": notebookWith("", `,"env":`+repeated(10000, named("V"))),
		"arguments": notebookWith("", `,"args":`+repeated(10000, func(i int) string { return fmt.Sprintf(`"an argument of some length %d"`, i) })),
		"annotations": []byte(strings.Replace(string(notebookWith("", "")), `"labels"`, `"annotations":{`+strings.Trim(repeated(20000, func(i int) string {
			return fmt.Sprintf(`"a%d":""`, i)
		}), "[]")+`},"labels"`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			d := w.Decide(context.Background(), webhook.Review{Pod: pod, Namespace: "lab"})
			assert.Empty(t, d.Denials)
			assert.NotEmpty(t, d.Operations)
		})
	}
}
