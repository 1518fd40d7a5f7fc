// Package handlers has the handlers that the benchmarks compare. One program has all of them:
//
//	floor     the fastest possible handler: net/http alone, which returns the uid of the review
//	empty     controller-runtime's admission.Webhook that allows everything
//	usual     like most webhooks: decode into corev1.Pod, change it, encode it, and compare both documents (usual.go)
//	ours      the whole webhook, with discovery at admission
//	constant  the same patch for every review; measured only end to end
package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"gomodules.xyz/jsonpatch/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"jupyter-user.io/jupyter-user-webhook/test/bench/pods"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// The names of the handlers.
const (
	Floor = "floor"
	Empty = "empty"
	Usual = "usual"
	Ours  = "ours"
	// Constant shows the lowest cost of a webhook that changes Pods.
	Constant = "constant"
)

// Names returns the names of all handlers except Constant.
func Names() []string { return []string{Floor, Empty, Usual, Ours} }

// KnownUser is a source of identities that has the same UID and GID for every user.
var KnownUser = webhook.Fixed{Identity: identity.New(5001, 6001, nil)}

// discardLog formats log lines as JSON like those of the webhook, and then discards them.
var discardLog = slog.NewJSONHandler(io.Discard, nil)

// init sets a logger, because without one controller-runtime would skip the work of logging.
func init() { log.SetLogger(logr.FromSlogHandler(discardLog)) }

// New returns the handler that has this name, which is one of the constants above.
func New(name string) (http.Handler, error) {
	switch name {
	case Floor:
		return http.HandlerFunc(serveFastest), nil
	case Empty:
		return &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
			return admission.Allowed("")
		})}, nil
	case Usual:
		return &admission.Webhook{Handler: usual{}}, nil
	case Ours:
		return Webhook(KnownUser)
	case Constant:
		return constant(), nil
	}
	return nil, fmt.Errorf("there is no handler %q", name)
}

// Webhook returns the handler of this project's webhook with a source of identities and new metrics. Its log is discardLog.
func Webhook(source webhook.Identities) (http.Handler, error) {
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	return server.NewHandler(webhook.New(config.Default(), source), slog.New(discardLog), metrics, nil), nil
}

// serveFastest is the fastest possible handler. It reads the review, finds the review's uid, and allows the Pod without
// decoding it.
func serveFastest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":%q,"allowed":true}}`, uidOf(body))
}

// Operations returns the webhook's patch for the small Pod of a user.
func Operations(user string) []jsonpatch.Operation {
	d := webhook.New(config.Default(), KnownUser).Decide(context.Background(), webhook.Review{Pod: pods.JSON(pods.Small(user)), Namespace: "jupyter"})
	return d.Operations
}

func constant() http.Handler {
	patch, err := json.Marshal(Operations("alice"))
	if err != nil {
		panic(err) // The operations can always be encoded.
	}
	encoded := base64.StdEncoding.EncodeToString(patch)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":%q,"allowed":true,`+
			`"patchType":"JSONPatch","patch":"%s"}}`, uidOf(body), encoded)
	})
}

// uidOf returns the first uid in the body. In a body of package pods, this is the uid of the AdmissionReview's request.
func uidOf(body []byte) []byte {
	_, after, _ := bytes.Cut(body, []byte(`"uid":"`))
	uid, _, _ := bytes.Cut(after, []byte(`"`))
	return uid
}
