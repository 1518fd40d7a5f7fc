package chaos

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// TestHostileReviewsWithinMemoryLimit sends reviews that need much memory for their size to a replica with the memory
// limit of the chart. An earlier version of the webhook ended after a review with 210,000 tiny containers. No review may
// be admitted, and the replica must not end.
func TestHostileReviewsWithinMemoryLimit(t *testing.T) {
	group := memoryGroup(t, memoryLimitOfChart(t))
	r, client := startAloneWith(t, options{wrapper: []string{"sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, group}})
	hostile := greedyReviews()
	for name, body := range hostile {
		require.Less(t, len(body), 4<<20, name)
		got, _, err := r.send(client, "/mutate", body)
		require.NoError(t, err, name)
		require.False(t, got.Response.Allowed, name)
		assert.Equal(t, 422, got.Response.Status.Code, name)
		assert.Regexp(t, "leave some out|shorten it", got.Response.Status.Message, name)
	}
	denied, tryAgain := r.sendForTenSeconds(t, client, hostile)
	select {
	case <-r.done:
		require.Fail(t, "the replica has ended", "%v", r.ended)
	default:
	}
	r.assertHealthy(t, client)
	report(t, "denied or told to try again, never ends", "limit %d MiB, at most %s MiB; %d reviews of up to 4 MB by 16 clients: %d denied, %d "+
		"told to try again", memoryLimitOfChart(t), peakMemory(t, group), denied+tryAgain, denied, tryAgain)
}

// sendForTenSeconds lets 16 clients send all hostile reviews again and again for ten seconds. It returns how many reviews
// were denied, and how many got status 503 and the message to try again, without an AdmissionReview. Reviews without a
// response in time are not counted.
func (r *replica) sendForTenSeconds(t *testing.T, client *http.Client, hostile map[string]string) (denied, tryAgain int64) {
	t.Helper()
	var counted, delayed atomic.Int64
	var callers sync.WaitGroup
	until := time.Now().Add(10 * time.Second)
	for range 16 {
		callers.Go(func() {
			for time.Now().Before(until) {
				for name, body := range hostile {
					got, _, err := r.send(client, "/verify", body)
					switch {
					case err == nil:
						assert.False(t, got.Response.Allowed, name)
						counted.Add(1)
					case strings.Contains(err.Error(), "too many large Pods are being created at once"):
						delayed.Add(1)
					case os.IsTimeout(err):
					default:
						assert.NoError(t, err, name)
						return
					}
				}
			}
		})
	}
	callers.Wait()
	assert.Positive(t, counted.Load())
	return counted.Load(), delayed.Load()
}

// greedyReviews returns reviews within the server's limit of 4 MiB that need much memory when they are decoded. A replica
// decodes any number of reviews of up to 64 KiB at the same time, but larger reviews only up to 4 MiB together.
func greedyReviews() map[string]string {
	pod := func(size int, before, element, after string) string {
		var b strings.Builder
		b.WriteString(before)
		for i := 0; b.Len() < size; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(element, "#", strconv.FormatInt(int64(i), 16)))
		}
		b.WriteString(after)
		return reviewOf(b.String())
	}
	const head = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},"spec":{`
	const large, small = 3_900_000, 60_000
	return map[string]string{
		"containers of 3.9 MB": pod(large, head+`"containers":[`, `{"name":"#"}`, `]}}`),
		"containers of 2 MB":   pod(2_000_000, head+`"containers":[`, `{"name":"#"}`, `]}}`),
		"empty containers":     pod(large, head+`"containers":[`, `{}`, `]}}`),
		"mounts":               pod(large, head+`"containers":[{"name":"nb","volumeMounts":[`, `{}`, `]}]}}`),
		"groups":               pod(large, head+`"securityContext":{"supplementalGroups":[`, `0`, `]},"containers":[{"name":"nb"}]}}`),
		"annotations":          pod(large, head[:len(head)-len(`},"spec":{`)]+`,"annotations":{`, `"#":""`, `}},"spec":{"containers":[]}}`),
		"node selectors":       pod(large, head+`"containers":[{"name":"nb"}],"nodeSelector":{`, `"#":""`, `}}}`),
		"mounts, and a long name": reviewOf(head + `"containers":[{"name":"` + strings.Repeat("a", large/2) + `"},{"name":"b","volumeMounts":[` +
			strings.TrimSuffix(strings.Repeat(`{"name":"hpc-shared-volume","mountPath":"/x"},`, 1000), ",") + `]}]}}`),
		"a long image":           reviewOf(head + `"containers":[{"name":"nb","image":"` + strings.Repeat("ж", large/2) + `"}]}}`),
		"small, of containers":   pod(small, head+`"containers":[`, `{}`, `]}}`),
		"small, of empty mounts": pod(small, head+`"containers":[{"name":"nb","volumeMounts":[`, `{}`, `]}]}}`),
	}
}

// memoryLimitOfChart returns the memory limit of a replica in the chart, in MiB.
func memoryLimitOfChart(t *testing.T) int {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(folder, "deploy", "chart", "values.yaml"))
	require.NoError(t, err)
	var values struct {
		Resources struct {
			Limits struct {
				Memory resource.Quantity `json:"memory"`
			} `json:"limits"`
		} `json:"resources"`
	}
	require.NoError(t, yaml.Unmarshal(text, &values))
	limit := int(values.Resources.Limits.Memory.Value() >> 20)
	require.Positive(t, limit)
	return limit
}

// peakMemory returns the largest memory that a cgroup has had, in MiB, or "unknown".
func peakMemory(t *testing.T, group string) string {
	t.Helper()
	for _, file := range []string{"memory.max_usage_in_bytes", "memory.peak"} {
		text, err := os.ReadFile(filepath.Join(group, file))
		if err != nil {
			continue // The file belongs to the other cgroup version.
		}
		bytes, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		require.NoError(t, err)
		return fmt.Sprint(bytes >> 20)
	}
	return "unknown"
}
