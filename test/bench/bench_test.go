// Package bench measures what a review costs. Machines are noisy: read the ratios between lines of one run, never a time.
//
//	floor   an http.Handler that answers a constant
//	empty   controller-runtime's admission.Webhook that allows everything
//	ours    the whole handler, at admission and at start
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

func BenchmarkReview(b *testing.B) {
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	handlers := []struct {
		name    string
		handler http.Handler
	}{
		{"floor", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"response":{"uid":"x","allowed":true}}`)
		})},
		{"empty", &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
			return admission.Allowed("")
		})}},
		{"ours-at-admission", handler(b, log, webhook.Everybody{Identity: identity.New(5001, 6001, nil)})},
		{"ours-at-start", handler(b, log, nil)},
	}
	for _, env := range []int{40, 500} {
		body := review(b, env)
		for _, h := range handlers {
			b.Run(strconv.Itoa(len(body)/1000)+"KB/"+h.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					req := httptest.NewRequest(http.MethodPost, "/mutate", bytes.NewReader(body))
					req.Header.Set("Content-Type", "application/json")
					w := httptest.NewRecorder()
					h.handler.ServeHTTP(w, req)
					if w.Code != http.StatusOK {
						b.Fatal(w.Code)
					}
				}
			})
		}
	}
}

func handler(b *testing.B, log *slog.Logger, who webhook.Identities) http.Handler {
	b.Helper()
	metrics, err := webhook.NewMetrics(prometheus.NewRegistry())
	require.NoError(b, err)
	h := webhook.New(config.Default(), who).Handler(log, metrics, nil)
	return h
}

// review is of a pod with so many environment variables.
func review(b *testing.B, env int) []byte {
	b.Helper()
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "nb", Namespace: "jupyter-system", Labels: map[string]string{"jupyter-user": "alice"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "notebook", Image: "quay.io/jupyter/minimal-notebook"}}},
	}
	for i := range env {
		pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env,
			corev1.EnvVar{Name: "SOME_VARIABLE_" + strconv.Itoa(i), Value: "with a value that is about as long as they are, usually"})
	}
	raw, err := json.Marshal(pod)
	require.NoError(b, err)
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "705ab4f5-6393-11e8-b7cc-42010a800002", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"}, Namespace: "jupyter-system", Name: "nb",
			Operation: admissionv1.Create, UserInfo: authenticationv1.UserInfo{Username: "carol"}, Object: runtime.RawExtension{Raw: raw},
		},
	})
	require.NoError(b, err)
	return body
}
