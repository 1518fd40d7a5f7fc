// Package handlers holds what the webhook is measured beside, in one binary:
//
//	floor  net/http that finds the uid and answers it
//	empty  controller-runtime's admission.Webhook that allows everything
//	usual  the way that most webhooks take: decode into corev1.Pod, change it, marshal it, compare the two (usual.go)
//	ours   the webhook, whole, for users who are known at admission
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

// The handlers, in the order in which they are reported.
const (
	Floor = "floor"
	Empty = "empty"
	Usual = "usual"
	Ours  = "ours"
	// Constant is a webhook that answers one patch to everything, end to end alone: the least that a webhook costs there.
	Constant = "constant"
)

// Names of all of them.
func Names() []string { return []string{Floor, Empty, Usual, Ours} }

// KnownUser is the identity of the user of all Pods.
var KnownUser = webhook.Fixed{Identity: identity.New(5001, 6001, nil)}

// nowhere is where all of them log to, in JSON as ours does.
var nowhere = slog.NewJSONHandler(io.Discard, nil)

// controller-runtime asks every program for a logger, and without one leaves out the work of logging too.
func init() { log.SetLogger(logr.FromSlogHandler(nowhere)) }

// New makes a handler by its name.
func New(name string) (http.Handler, error) {
	switch name {
	case Floor:
		return http.HandlerFunc(floor), nil
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

// Webhook is ours, with its log, which goes nowhere, and its metrics.
func Webhook(who webhook.Identities) (http.Handler, error) {
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	return server.NewHandler(webhook.New(config.Default(), who), slog.New(nowhere), metrics, nil), nil
}

// floor reads the body and no more of it than the uid, which is where an API server writes it.
func floor(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":%q,"allowed":true}}`, uidOf(body))
}

// Operations are what ours does to a small pod of a user, as it comes from the ServiceAccount plugin.
func Operations(user string) []jsonpatch.Operation {
	d := webhook.New(config.Default(), KnownUser).Decide(context.Background(), webhook.Review{Pod: pods.JSON(pods.Small(user)), Namespace: "jupyter"})
	return d.Operations
}

func constant() http.Handler {
	patch, err := json.Marshal(Operations("alice"))
	if err != nil {
		panic(err) // What ours has made.
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

// uidOf is where an API server writes it.
func uidOf(body []byte) []byte {
	_, after, _ := bytes.Cut(body, []byte(`"uid":"`))
	uid, _, _ := bytes.Cut(after, []byte(`"`))
	return uid
}
