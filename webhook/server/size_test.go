package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// notebookWith returns a notebook Pod of the user alice. spec are further fields of the spec, with a trailing comma;
// container are further fields of the container, with a leading comma.
func notebookWith(spec, container string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},"spec":{%s
		"containers":[{"name":"nb","image":"notebook"%s}]}}`, spec, container)
}

func repeated(n int, element func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = element(i)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// TestMemoryOfHostilePods tests Pods that, without a limit, would need a patch or memory of many times their size.
func TestMemoryOfHostilePods(t *testing.T) {
	mount := func(i int) string { return fmt.Sprintf(`{"name":"a","mountPath":"/m%d"}`, i) }
	for name, c := range map[string]struct {
		pod    []byte
		reason string
	}{
		"many references to a value": {pod: notebookWith("", `,"args":["start-notebook.py","--ServerApp.base_url=`+strings.Repeat("$(A)", 2000)+
			`"],"env":[{"name":"A","value":"`+strings.Repeat("x", 20000)+`"}]`)},
		"a few references to a long value": {pod: notebookWith("", `,"args":["start-notebook.py","--ServerApp.base_url=$(A)$(A)$(A)"],
			"env":[{"name":"A","value":"`+strings.Repeat("x", 500)+`"}]`)},
		"a long base URL":        {pod: notebookWith("", `,"args":["start-notebook.py","--ServerApp.base_url=`+strings.Repeat("x", 1<<20)+`"]`)},
		"a long prefix of a hub": {pod: notebookWith("", `,"env":[{"name":"JUPYTERHUB_SERVICE_PREFIX","value":"`+strings.Repeat("x", 1<<20)+`"}]`)},
		"a long workingDir": {reason: "PathTooLong", pod: notebookWith("", `,"command":["a"],"workingDir":"/`+strings.Repeat("$", 1<<20)+
			`","lifecycle":{"preStop":{"exec":{"command":["b"]}}}`)},
		"a long workingDir of an earlier injection": {reason: "PathTooLong", pod: notebookWith("", `,"command":["/config/jupyter-user-init","exec",
			"--user=alice","--home=/home/alice","--scratch=/config","--working-dir=/`+strings.Repeat("x", 1<<20)+`","--","a"],
			"lifecycle":{"preStop":{"exec":{"command":["b"]}}}`)},
		"a long name in many denials": {reason: "NameTooLong", pod: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb",
			"labels":{"jupyter-user":"alice"}},"spec":{"containers":[{"name":"%s","image":"a"},{"name":"b","image":"a","volumeMounts":%s}]}}`,
			strings.Repeat("a", 1<<20), repeated(1000, func(i int) string { return fmt.Sprintf(`{"name":"hpc-shared-volume","mountPath":"/%d"}`, i) }))},
		"a long name of an image": {reason: "NameTooLong", pod: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb",
			"labels":{"jupyter-user":"alice"}},"spec":{"containers":[{"name":"nb","image":"%s"}]}}`, strings.Repeat("ж", 1<<19))},
		"a huge quantity":     {pod: notebookWith("", `,"command":["a"],"resources":{"limits":{"cpu":"1e30000000","memory":"1Gi"},"requests":{"cpu":1}}`)},
		"a long mountPath":    {reason: "PathTooLong", pod: notebookWith("", `,"volumeMounts":[{"name":"a","mountPath":"/`+strings.Repeat("x/", 2048)+`"}]`)},
		"many groups":         {reason: "TooMany", pod: notebookWith(`"securityContext":{"supplementalGroups":`+repeated(100000, func(int) string { return "0" })+`},`, "")},
		"a long devicePath":   {reason: "PathTooLong", pod: notebookWith("", `,"volumeDevices":[{"name":"a","devicePath":"/`+strings.Repeat("x/", 2048)+`"}]`)},
		"many mounts":         {reason: "TooMany", pod: notebookWith("", `,"volumeMounts":`+repeated(20000, mount))},
		"many mounts of ours": {reason: "TooMany", pod: notebookWith(`"initContainers":[{"name":"jupyter-user-init","volumeMounts":`+repeated(20000, mount)+`}],`, "")},
		"many foreign devices": {reason: "DeviceForeign", pod: notebookWith(`"initContainers":`+repeated(199, func(i int) string {
			return fmt.Sprintf(`{"name":"i%d","volumeDevices":%s}`, i, repeated(100, func(int) string { return `{"name":"hpc-shared-volume"}` }))
		})+`,`, "")},
		"more devices": {reason: "TooMany", pod: notebookWith("", `,"volumeDevices":`+repeated(50000, func(i int) string {
			return fmt.Sprintf(`{"name":"hpc-shared-volume","devicePath":"/d%d"}`, i)
		}))},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d := webhook.New(config.Default(), nil).Decide(context.Background(), webhook.Review{Pod: c.pod, Namespace: "lab"})
			patch, err := json.Marshal(d.Operations)
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			assert.Less(t, len(patch), 16<<10)
			assert.LessOrEqual(t, len(d.Denials), 1000)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100*len(c.pod)+(4<<20)), "allocated bytes")
			if c.reason == "" {
				require.Empty(t, d.Denials)
				assert.NotContains(t, string(patch), "readinessProbe")
				return
			}
			require.NotEmpty(t, d.Denials)
			assert.Equal(t, c.reason, string(d.Denials[0].Reason))
		})
	}
}
