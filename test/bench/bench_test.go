// Package bench measures what a review costs. Machines are noisy: read the ratios between lines of one run, never a time.
//
// What is here is in process, for go test -bench and benchstat; run/ has the rest, and make bench runs all of it. Nothing that is
// timed fails a test: allocations do (allocations_test.go), because they are the same on every machine.
package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
	"jupyter-user.io/jupyter-user-webhook/test/bench/pods"
)

// reviews are of the same pod, of many people: whoever remembers strings of the last one is not to gain by it.
func reviews(pod func(user string) []byte) (bodies [][]byte) {
	for i := range 16 {
		bodies = append(bodies, pods.Review(pod(pods.User(i)), pods.User(i)))
	}
	return bodies
}

// caller posts reviews to a handler, and allocates nothing itself.
type caller struct {
	handler http.Handler
	bodies  [][]byte
	turn    int
	request *http.Request
	body    bytes.Reader
	answer  bytes.Buffer
	header  http.Header
	status  int
}

func newCaller(t testing.TB, name, path string, bodies [][]byte) *caller {
	t.Helper()
	handler, err := handlers.New(name)
	require.NoError(t, err)
	c := &caller{handler: handler, bodies: bodies, header: http.Header{}, request: httptest.NewRequest(http.MethodPost, path, nil)}
	c.request.Header.Set("Content-Type", "application/json")
	c.request.Body = io.NopCloser(&c.body)
	return c
}

func (c *caller) call() {
	c.body.Reset(c.bodies[c.turn%len(c.bodies)])
	c.turn++
	c.answer.Reset()
	c.status = http.StatusOK
	c.handler.ServeHTTP(c, c.request)
}

func (c *caller) Header() http.Header            { return c.header }
func (c *caller) Write(part []byte) (int, error) { return c.answer.Write(part) }
func (c *caller) WriteHeader(status int)         { c.status = status }

func (c *caller) response(t testing.TB) *admissionv1.AdmissionResponse {
	t.Helper()
	require.Equal(t, http.StatusOK, c.status)
	review := admissionv1.AdmissionReview{}
	require.NoError(t, json.Unmarshal(c.answer.Bytes(), &review))
	return review.Response
}

// injected is a pod as it is when it has been here already.
func injected(t testing.TB, pod []byte) []byte {
	t.Helper()
	c := newCaller(t, handlers.Ours, "/mutate", [][]byte{pods.Review(pod, pods.User(0))})
	c.call()
	patch, err := jsonpatch.DecodePatch(c.response(t).Patch)
	require.NoError(t, err)
	patched, err := patch.Apply(pod)
	require.NoError(t, err)
	return patched
}

// ofKind are reviews of pods of one size: of such as are injected, and of such as nothing is done to.
func ofKind(t testing.TB, size, kind string) [][]byte {
	t.Helper()
	pod := pods.Sizes()[size]
	return reviews(func(user string) []byte {
		switch kind {
		case "unlabelled":
			return pods.JSON(pods.Unlabelled(pod(user)))
		case "already":
			return injected(t, pods.JSON(pod(user)))
		case "refused":
			return pods.JSON(pods.Refused(pod(user)))
		}
		return pods.JSON(pod(user))
	})
}

func BenchmarkReview(b *testing.B) {
	for _, size := range []string{"6KB", "60KB", "1500env"} {
		for _, kind := range []string{"injected", "unlabelled", "already", "refused"} {
			bodies := ofKind(b, size, kind)
			for _, name := range handlers.Names() {
				if name != handlers.Ours && kind != "injected" {
					continue // They take them all alike, or know no other.
				}
				b.Run("pod="+size+"/kind="+kind+"/handler="+name, func(b *testing.B) {
					c := newCaller(b, name, "/mutate", bodies)
					b.ReportAllocs()
					for b.Loop() {
						c.call()
					}
				})
			}
		}
	}
}

// TestTheUsualHandlerMakesTheSamePod: what is compared does the same.
func TestTheUsualHandlerMakesTheSamePod(t *testing.T) {
	for size, pod := range pods.Sizes() {
		t.Run(size, func(t *testing.T) {
			raw := pods.JSON(pod("alice"))
			made := map[string]string{}
			for _, name := range []string{handlers.Usual, handlers.Ours} {
				c := newCaller(t, name, "/mutate", [][]byte{pods.Review(raw, "alice")})
				c.call()
				response := c.response(t)
				require.True(t, response.Allowed)
				patch, err := jsonpatch.DecodePatch(response.Patch)
				require.NoError(t, err)
				patched, err := patch.Apply(raw)
				require.NoError(t, err)
				made[name] = string(patched)
			}
			assert.JSONEq(t, made[handlers.Usual], made[handlers.Ours])
		})
	}
}

// TestThePodsAreOfTheirSize: the reviews' names say how large the pods are.
func TestThePodsAreOfTheirSize(t *testing.T) {
	assert.InEpsilon(t, 6000, len(pods.JSON(pods.Small("alice"))), 0.1)
	assert.InEpsilon(t, 60000, len(pods.JSON(pods.Large("alice"))), 0.1)
	assert.Len(t, pods.ManyVariables("alice").Spec.Containers[0].Env, 1500)
}
