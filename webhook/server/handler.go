// Package server is the HTTP side of the webhook: the handler of reviews, the codec of AdmissionReviews, TLS, limits,
// requests to the other replicas and metrics. Package webhook makes the decisions.
package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// The served paths. mutateRestrictedPath is for namespaces that enforce the Pod Security level "restricted", and mutatePath
// is for all others. The API server selects the path by the namespace's labels, so the webhook makes no API call during an
// admission.
const (
	mutatePath           = "/mutate"
	mutateRestrictedPath = "/mutate/restricted"
	// VerifyPath is the path of the verifier, which the API server calls after all mutating webhooks.
	VerifyPath = "/verify"
	// PeerPath is the path of the verifier for reviews that other replicas forward. A replica does not forward these reviews
	// again.
	PeerPath = "/verify/peer"
)

// handler serves the reviews of one path.
type handler struct {
	// kind is the kind of review, for log and metrics.
	kind       string
	decide     func(context.Context, webhook.Review) webhook.Decision
	restricted bool
	// warnOnly reports Warn mode: decisions become warnings and are not enforced.
	warnOnly bool
	// peers are the other replicas, which can have a configuration that this replica lacks; nil if they are not asked.
	peers   *Peers
	log     *slog.Logger
	metrics *Metrics
}

// The kinds of review.
const (
	kindMutate = "mutate"
	kindVerify = "verify"
	// kindPeer is a review that another replica has received and forwarded. That replica logs and counts it as kindVerify.
	kindPeer = "peer"
)

// NewHandler returns a handler for the served paths. peers are the other replicas, or nil.
func NewHandler(w *webhook.Webhook, log *slog.Logger, metrics *Metrics, peers *Peers) http.Handler {
	mux := http.NewServeMux()
	warnOnly, verify := w.Mode() == config.ModeWarn, w.Verify
	if warnOnly {
		verify = w.VerifyInWarnMode
	}
	for path, h := range map[string]*handler{
		mutatePath:           {kind: kindMutate, decide: w.Decide, warnOnly: warnOnly},
		mutateRestrictedPath: {kind: kindMutate, decide: w.Decide, warnOnly: warnOnly, restricted: true},
		VerifyPath:           {kind: kindVerify, decide: verify, warnOnly: warnOnly, peers: peers},
		// The asking replica applies its own mode. If a Warn replica said "allowed" here, an Enforce replica would admit an
		// unverified Pod during a rollout.
		PeerPath: {kind: kindPeer, decide: w.Verify},
	} {
		h.log, h.metrics = log, metrics
		mux.Handle("POST "+path, h)
	}
	return mux
}

// ServeHTTP handles one review: it reads the body, decodes the review and its Pod, decides, and writes the response. Unless
// the client stops before the body is complete, the response is an AdmissionReview, and is logged and counted.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := buffers.Get().(*bytes.Buffer)
	defer putBuffer(body)
	denied, err := readBody(w, r, body)
	if err != nil {
		// The client is gone or has stopped sending, so it needs no AdmissionReview.
		h.log.WarnContext(r.Context(), "the body did not arrive whole", "from", r.RemoteAddr, "err", err.Error())
		http.Error(w, "the body did not arrive whole", http.StatusRequestTimeout)
		return
	}
	began := time.Now()
	var asked review
	if denied == nil {
		asked, denied = decode(body.Bytes())
	} else {
		asked = decodeDenied(body.Bytes())
	}
	var response *admissionv1.AdmissionResponse
	if denied != nil {
		response = h.deny(r.Context(), asked.Request, *denied, began)
	} else {
		response = h.handle(r.Context(), asked.Request, body.Bytes(), began)
	}
	response.UID = asked.Request.UID
	asked.write(r.Context(), w, response)
	if response.Patch != nil {
		putBuffer(bytes.NewBuffer(response.Patch)) // from allowResponse
	}
	if denied == nil {
		h.metrics.observeDuration(h.kind, began)
	}
}

// deny returns the response to a review that is denied without a decision, logs the review and counts it.
func (h *handler) deny(ctx context.Context, req request, denied denial.Denial, began time.Time) *admissionv1.AdmissionResponse {
	d := webhook.Denied(webhook.Decision{}, denied)
	h.record(ctx, req, d, time.Since(began))
	resp := h.respond(d)
	resp.AuditAnnotations = h.auditAnnotations(req, d)
	return resp
}

// handle returns the response to the request that was decoded from body, and records the review. A panic becomes a response
// too.
func (h *handler) handle(ctx context.Context, req request, body []byte, began time.Time) (resp *admissionv1.AdmissionResponse) {
	d := webhook.Decision{}
	defer func() {
		if fault := recover(); fault != nil {
			h.log.ErrorContext(ctx, "panic", "uid", req.UID, "fault", fault, "stack", string(debug.Stack()))
			d = webhook.Denied(d, denial.Internal(string(req.UID)))
			resp = h.respond(d)
		}
		if d.Peer == "" || h.warnOnly {
			resp.AuditAnnotations = h.auditAnnotations(req, d)
		}
		h.record(ctx, req, d, time.Since(began))
	}()

	// With the chart's webhook configurations, API servers send only the creation of Pods. If an admin has changed the
	// rules, API servers can also send subresources, such as pods/binding and pods/eviction. These create no Pod, so they
	// are allowed.
	if req.SubResource != "" {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	if kind := req.Kind; kind.Group != "" || kind.Version != "v1" || kind.Kind != "Pod" {
		d = webhook.Denied(d, denial.NotAPodReview(strings.Trim(kind.Group+"/"+kind.Version+" "+kind.Kind, "/ ")))
		return h.respond(d)
	}
	if req.Operation != admissionv1.Create {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	d = h.decide(ctx, webhook.Review{
		Pod: req.Object.raw(body), Namespace: req.Namespace, Restricted: h.restricted,
		Decoded: req.Object.pod, TooLong: req.Object.tooLong})
	if h.peers != nil && d.OtherGeneration {
		response, peer, err := h.peers.ask(ctx, body)
		h.metrics.countPeerRequest(err)
		if err == nil {
			d = decisionOfReplica(response, peer)
			if h.warnOnly {
				return warnResponse(d)
			}
			return response
		}
		d.Fault = fmt.Errorf("ask the other replicas: %w", err)
	}
	return h.respond(d)
}

// respond returns the response to a decision. In Warn mode it changes and denies nothing, and returns the decision as
// warnings.
func (h *handler) respond(d webhook.Decision) (resp *admissionv1.AdmissionResponse) {
	switch {
	case h.warnOnly:
		return warnResponse(d)
	case len(d.Denials) > 0:
		resp = denyResponse(d.Denials)
	default:
		resp = allowResponse(d.Operations)
	}
	resp.Warnings = denial.FirstWarnings(d.Warnings)
	return resp
}

// allowResponse admits a Pod, with a patch if there are operations. The patch is in a pooled buffer, which ServeHTTP
// returns to the pool after it has written the response.
func allowResponse(operations []jsonpatch.Operation) *admissionv1.AdmissionResponse {
	resp := &admissionv1.AdmissionResponse{Allowed: true}
	if len(operations) == 0 {
		return resp
	}
	buffer := buffers.Get().(*bytes.Buffer)
	resp.Patch, resp.PatchType = pod.AppendPatch(buffer.AvailableBuffer(), operations), &patchType
	return resp
}

// patchType is the type of every patch: JSON Patch (RFC 6902).
var patchType = admissionv1.PatchTypeJSONPatch

// denyResponse returns the denials in one status. Code and reason are those of the first denial, which the user should
// correct first.
func denyResponse(denials []denial.Denial) *admissionv1.AdmissionResponse {
	status := &metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    denials[0].Code,
		Reason:  metav1.StatusReason(denials[0].Reason),
		Message: denial.Join(denials),
		Details: &metav1.StatusDetails{Kind: "Pod"},
	}
	for _, r := range denial.FirstDenials(denials) {
		status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(r.Reason), Field: r.Field, Message: r.Message,
		})
	}
	return &admissionv1.AdmissionResponse{Result: status}
}
