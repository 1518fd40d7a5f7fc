// Package bench measures the cost of a review. Machines are noisy, so compare the lines of one run with each other, and not the
// times of two runs.
//
// The benchmarks of this package run in process, for go test -bench and benchstat. The other benchmarks are in the command
// test/bench/run, and make bench runs both. No measured time fails a test. Too many allocations fail TestAllocations, because
// their number is the same on every machine.
package bench

import (
	"encoding/json"
	"net/http"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
	"jupyter-user.io/jupyter-user-webhook/test/bench/pods"
)

// reviews returns reviews of the same Pod for 16 users, so that a handler does not gain from strings that its decoder has
// cached in the previous review.
func reviews(pod func(user string) []byte) (bodies [][]byte) {
	for i := range 16 {
		bodies = append(bodies, pods.Review(pod(pods.User(i)), pods.User(i)))
	}
	return bodies
}

func newCaller(t testing.TB, name string, bodies [][]byte) *handlers.Caller {
	t.Helper()
	handler, err := handlers.New(name)
	require.NoError(t, err)
	return handlers.NewCaller(handler, bodies)
}

func response(t testing.TB, c *handlers.Caller) *admissionv1.AdmissionResponse {
	t.Helper()
	require.Equal(t, http.StatusOK, c.Status)
	review := admissionv1.AdmissionReview{}
	require.NoError(t, json.Unmarshal(c.Response.Bytes(), &review))
	return review.Response
}

// injected returns the Pod with the webhook's patch applied.
func injected(t testing.TB, pod []byte) []byte {
	t.Helper()
	c := newCaller(t, handlers.Ours, [][]byte{pods.Review(pod, pods.User(0))})
	c.Call()
	patch, err := jsonpatch.DecodePatch(response(t, c).Patch)
	require.NoError(t, err)
	patched, err := patch.Apply(pod)
	require.NoError(t, err)
	return patched
}

// reviewsOfKind returns reviews of Pods of one size and one kind. The webhook injects Pods of the kind "injected".
// "already" Pods have been injected before, "unlabelled" Pods do not have the label jupyter-user, and "denied" Pods have
// root as their user.
func reviewsOfKind(t testing.TB, size, kind string) [][]byte {
	t.Helper()
	pod := pods.Sizes()[size]
	return reviews(func(user string) []byte {
		switch kind {
		case "unlabelled":
			return pods.JSON(pods.Unlabelled(pod(user)))
		case "already":
			return injected(t, pods.JSON(pod(user)))
		case "denied":
			return pods.JSON(pods.Denied(pod(user)))
		}
		return pods.JSON(pod(user))
	})
}

func BenchmarkReview(b *testing.B) {
	for _, size := range []string{"6KB", "60KB", "1500env"} {
		for _, kind := range []string{"injected", "unlabelled", "already", "denied"} {
			bodies := reviewsOfKind(b, size, kind)
			for _, name := range handlers.Names() {
				if name != handlers.Ours && kind != "injected" {
					continue // Floor and Empty treat all kinds alike, and Usual knows only "injected".
				}
				b.Run("pod="+size+"/kind="+kind+"/handler="+name, func(b *testing.B) {
					c := newCaller(b, name, bodies)
					b.ReportAllocs()
					for b.Loop() {
						c.Call()
					}
				})
			}
		}
	}
}

// TestHandlersReturnSamePod tests that the patches of handlers.Usual and handlers.Ours make the same Pod.
func TestHandlersReturnSamePod(t *testing.T) {
	for size, pod := range pods.Sizes() {
		t.Run(size, func(t *testing.T) {
			raw := pods.JSON(pod("alice"))
			made := map[string]string{}
			for _, name := range []string{handlers.Usual, handlers.Ours} {
				c := newCaller(t, name, [][]byte{pods.Review(raw, "alice")})
				c.Call()
				got := response(t, c)
				require.True(t, got.Allowed)
				patch, err := jsonpatch.DecodePatch(got.Patch)
				require.NoError(t, err)
				patched, err := patch.Apply(raw)
				require.NoError(t, err)
				made[name] = string(patched)
			}
			assert.JSONEq(t, made[handlers.Usual], made[handlers.Ours])
		})
	}
}

// TestPodSizes tests that the sizes in the names of the benchmarks are right.
func TestPodSizes(t *testing.T) {
	assert.InEpsilon(t, 6000, len(pods.JSON(pods.Small("alice"))), 0.1)
	assert.InEpsilon(t, 60000, len(pods.JSON(pods.Large("alice"))), 0.1)
	assert.Len(t, pods.ManyVariables("alice").Spec.Containers[0].Env, 1500)
}
