package chaos

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

const doesNotApply = "a-patch-that-does-not-apply"

// behaviours has the wrong responses of the stand-in, a server in the webhook's place. The Pod's label "stand-in" names
// the response.
var behaviours = map[string]func(w http.ResponseWriter, r *http.Request, uid string){
	"hangs": func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() },
	"slow": func(w http.ResponseWriter, r *http.Request, uid string) {
		select {
		case <-time.After(4 * time.Second): // Twice the webhook's timeout.
			respond(w, allowing(uid))
		case <-r.Context().Done():
		}
	},
	"garbage":   func(w http.ResponseWriter, _ *http.Request, _ string) { respond(w, "\x00\xff<html>no</html>") },
	"nothing":   func(http.ResponseWriter, *http.Request, string) {},
	"an-error":  func(w http.ResponseWriter, _ *http.Request, _ string) { http.Error(w, "no", http.StatusBadGateway) },
	"wrong-uid": func(w http.ResponseWriter, _ *http.Request, _ string) { respond(w, allowing("another-uid")) },
	"half-a-body": func(w http.ResponseWriter, _ *http.Request, uid string) {
		body := allowing(uid)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		respond(w, body[:len(body)/2])
		panic(http.ErrAbortHandler)
	},
	"cut":           func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) },
	"half-a-review": func(w http.ResponseWriter, _ *http.Request, uid string) { respond(w, allowing(uid)[:60]) },
	"another-version": func(w http.ResponseWriter, _ *http.Request, uid string) {
		respond(w, strings.Replace(allowing(uid), "k8s.io/v1", "k8s.io/v1beta1", 1))
	},
	"a-patch-that-is-none": func(w http.ResponseWriter, _ *http.Request, uid string) { respond(w, patching(uid, "{")) },
	doesNotApply: func(w http.ResponseWriter, _ *http.Request, uid string) {
		respond(w, patching(uid, `[{"op":"remove","path":"/spec/nothing"}]`))
	},
}

func respond(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, text)
}

func allowing(uid string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"` + uid + `","allowed":true}}`
}

func patching(uid, patch string) string {
	return strings.Replace(allowing(uid), "}}", `,"patchType":"JSONPatch","patch":"`+base64.StdEncoding.EncodeToString([]byte(patch))+`"}}`, 1)
}

// TestStandIns runs another server in the webhook's place, which sends wrong responses. With failurePolicy: Fail, as
// shipped, the API server denies the Pod. If an admin has changed the failurePolicy to Ignore, the API server goes on
// without the webhook. Then the policies deny the Pod, because it has the label and is not injected. With both values, the
// API server itself denies the Pod if a patch does not apply.
func TestStandIns(t *testing.T) {
	c := newCluster(t)
	c.startStandIn(t)
	failing := c.tryAll(t, func(t *testing.T, behaviour string, err error) {
		assert.Contains(t, err.Error(), `pods.jupyter-user.io"`, "%s: the webhook is named", behaviour)
		assert.NotContains(t, err.Error(), "ValidatingAdmissionPolicy", behaviour)
	})

	setPolicy := func(wanted admissionv1.FailurePolicyType) {
		err := c.eachWebhook(context.Background(), func(_ *admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType) {
			*policy = wanted
		})
		require.NoError(t, err)
	}
	t.Cleanup(func() { setPolicy(admissionv1.Fail) })
	setPolicy(admissionv1.Ignore)
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		_, err := c.create(t.Context(), notebookFor("cut"))
		require.ErrorContains(collect, err, "NotInjected")
	}, wait, 20*time.Millisecond, "failurePolicy: Ignore is in effect")
	ignoring := c.tryAll(t, func(t *testing.T, behaviour string, err error) {
		assert.Contains(t, err.Error(), "NotInjected", behaviour)
	})
	report(t, "denied with both values of failurePolicy", "%d wrong responses: with Fail the API server denied all within %s, with Ignore the "+
		"policies denied all within %s, 0 admitted", len(behaviours), milliseconds(failing), milliseconds(ignoring))
}

// tryAll creates a Pod for each behaviour, in parallel subtests. Each must be denied. tryAll returns the time until the
// last denial.
func (c *cluster) tryAll(t *testing.T, deniedBy func(t *testing.T, behaviour string, err error)) time.Duration {
	t.Helper()
	watch := machine.Start()
	defer watch.Stop()
	began := time.Now()
	t.Run("each", func(t *testing.T) {
		for behaviour := range behaviours {
			t.Run(behaviour, func(t *testing.T) {
				t.Parallel()
				_, err := c.create(t.Context(), notebookFor(behaviour))
				require.Error(t, err, "the Pod is admitted")
				if behaviour == doesNotApply {
					assert.Contains(t, err.Error(), "error in remove", "failurePolicy does not apply to this error")
					return
				}
				deniedBy(t, behaviour, err)
			})
		}
	})
	took := time.Since(began)
	// Mutation and verification can each take 2 s, the timeoutSeconds of the webhooks.
	within(t, watch, took, 5*time.Second, "the last denial")
	_, err := c.create(t.Context(), plainPod())
	assert.NoError(t, err, "a Pod that is no notebook is admitted")
	return took
}

// notebookFor returns a notebook with the label "stand-in".
func notebookFor(behaviour string) *corev1.Pod {
	pod := notebook("alice")
	pod.Labels["stand-in"] = behaviour
	return pod
}

// startStandIn starts another server as the only endpoint of the Service, with a certificate that the API server trusts.
func (c *cluster) startStandIn(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(standIn)}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*c.issue(t, time.Hour).TLS(t)}}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	c.add(address{reviews: listener.Addr().String()})
}

func standIn(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID    string
			Object struct {
				Metadata struct{ Labels map[string]string }
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	behaviours[review.Request.Object.Metadata.Labels["stand-in"]](w, r, review.Request.UID)
}
