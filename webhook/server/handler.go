// Package server is everything of the webhook that knows HTTP: the handler of a review, the codec of an AdmissionReview, TLS,
// limits, the other replicas and the metrics. What becomes of a Pod is decided in package webhook.
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

// The paths that are served. The namespace's Pod Security level reaches us by the path, because the API server knows the
// namespace's labels and we make no call to ask for them.
const (
	MutatePath           = "/mutate"
	MutateRestrictedPath = "/mutate/restricted"
	// VerifyPath is for the pod as it is when every mutating webhook is done with it.
	VerifyPath = "/verify"
	// PeerPath is VerifyPath for the other replicas: whoever is asked there asks nobody else.
	PeerPath = "/verify/peer"
)

// handler answers the reviews of one path.
type handler struct {
	// kind of review, mutate or verify, for log and metric.
	kind       string
	decide     func(context.Context, webhook.Review) webhook.Decision
	restricted bool
	// warnOnly tells that decisions are said and not carried out.
	warnOnly bool
	// peers may know what this replica does not; nil where nobody is to be asked.
	peers   *Peers
	log     *slog.Logger
	metrics *Metrics
}

// respondDenied answers what has not become an admission; it is logged and counted as one.
func (h *handler) respondDenied(
	ctx context.Context, req request, a denial.Denial, began time.Time,
) *admissionv1.AdmissionResponse {
	d := webhook.Denied(webhook.Decision{}, a)
	h.record(ctx, req, d, time.Since(began))
	resp := h.respond(d, nil)
	resp.AuditAnnotations = h.auditAnnotations(req, d)
	return resp
}

// handle turns a request into a decision and a decision into a response. A fault of ours is an answer too. The body is what the
// request was read from, and has the patch in the room behind it.
func (h *handler) handle(
	ctx context.Context, req request, body *bytes.Buffer, began time.Time,
) (resp *admissionv1.AdmissionResponse) {
	d := webhook.Decision{}
	defer func() {
		if fault := recover(); fault != nil {
			h.log.ErrorContext(ctx, "panic", "uid", req.UID, "fault", fault, "stack", string(debug.Stack()))
			d = webhook.Denied(d, denial.Internal(string(req.UID)))
			resp = h.respond(d, nil)
		}
		if d.Peer == "" || h.warnOnly {
			resp.AuditAnnotations = h.auditAnnotations(req, d)
		}
		h.record(ctx, req, d, time.Since(began))
	}()

	// Only what is created is ours to change. The shipped webhook configuration asks for nothing else; where another one
	// does, with pods/* say, no binding and no eviction is to fail by us. Those are not of kind Pod.
	if req.SubResource != "" {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	if kind := req.Kind; kind.Group != "" || kind.Version != "v1" || kind.Kind != "Pod" {
		d = webhook.Denied(d, denial.NotAPodReview(strings.Trim(kind.Group+"/"+kind.Version+" "+kind.Kind, "/ ")))
		return h.respond(d, nil)
	}
	if req.Operation != admissionv1.Create {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	d = h.decide(ctx, webhook.Review{
		Pod: req.Object.raw(body.Bytes()), Namespace: req.Namespace, Restricted: h.restricted,
		Decoded: req.Object.pod, TooLong: req.Object.tooLong})
	if h.peers != nil && d.OtherGeneration {
		answered, peer, err := h.peers.ask(ctx, body.Bytes())
		h.metrics.countPeerRequest(err)
		if err == nil {
			d = decisionOfReplica(answered, peer)
			if h.warnOnly {
				return warnResponse(d)
			}
			return answered
		}
		d.Fault = fmt.Errorf("ask the other replicas: %w", err)
	}
	return h.respond(d, spareCapacity(body, len(d.Operations)))
}

// spareCapacity a body is for a patch of so many operations. A buffer that would be too large to be kept is left as it is: where
// there is no room, the patch finds its own.
func spareCapacity(body *bytes.Buffer, operations int) []byte {
	if size := operations * typicalOperationSize; body.Len()+size <= maxPooledBuffer/2 { // It may grow to twice of that.
		body.Grow(size)
	}
	return body.AvailableBuffer()
}

// respond carries a decision out, or says what it is. The room is for the patch.
func (h *handler) respond(d webhook.Decision, room []byte) (resp *admissionv1.AdmissionResponse) {
	switch {
	case h.warnOnly:
		return warnResponse(d)
	case len(d.Denials) > 0:
		resp = denyResponse(d.Denials)
	default:
		resp = allowResponse(d.Operations, room)
	}
	resp.Warnings = d.Warnings
	return resp
}

// allowResponse is with the patch, where there is anything to patch.
func allowResponse(operations []jsonpatch.Operation, room []byte) *admissionv1.AdmissionResponse {
	resp := &admissionv1.AdmissionResponse{Allowed: true}
	if len(operations) == 0 {
		return resp
	}
	resp.Patch, resp.PatchType = pod.AppendPatch(room, operations), &patchType
	return resp
}

// typicalOperationSize is how long one is as JSON, in bytes, about.
const typicalOperationSize = 192

// patchType of every patch: that of RFC 6902.
var patchType = admissionv1.PatchTypeJSONPatch

// denyResponse puts every refusal into one status. Code and reason are those of the first, which is the one to mend first.
func denyResponse(refusals []denial.Denial) *admissionv1.AdmissionResponse {
	status := &metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    refusals[0].Code,
		Reason:  metav1.StatusReason(refusals[0].Reason),
		Message: denial.Join(refusals),
		Details: &metav1.StatusDetails{Kind: "Pod"},
	}
	for _, r := range denial.FirstDenials(refusals) {
		status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(r.Reason), Field: r.Field, Message: r.Message,
		})
	}
	return &admissionv1.AdmissionResponse{Result: status}
}

// auditAnnotations is what the API server's audit log keeps of an admission, each under the name of the entry of the webhook
// configuration: with it, that log alone answers who ran as whom. The requester is whom access was asked for, which is not who
// sent the request where that impersonates somebody. A pod that is none of ours leaves nothing.
func (h *handler) auditAnnotations(req request, d webhook.Decision) map[string]string {
	if !d.Claimed && len(d.Denials) == 0 {
		return nil
	}
	kept := map[string]string{"requester": shortened(req.UserInfo.Username)}
	keep := func(key, value string) {
		if value != "" {
			kept[key] = value
		}
	}
	keep("user", d.User.String())
	keep("discovery", string(d.Discovery))
	keep("identity", d.IdentityText())
	if len(d.Denials) > 0 {
		kept["reason"] = string(d.Denials[0].Reason)
	}
	if h.warnOnly {
		kept["mode"] = string(config.ModeWarn)
	}
	return kept
}

// record writes the one line that an admission has in the log, and counts it. There is nothing in it of the pod but
// its name and what stands against it: sentences of ours, in which names and paths of the pod are quoted and cut short.
// A mutating webhook comes before validation, so a pod's name can be anything of any length.
func (h *handler) record(ctx context.Context, req request, d webhook.Decision, took time.Duration) {
	outcome := outcomeOf(h.kind, d)
	if h.warnOnly {
		outcome = outcome.inWarnMode()
	}
	h.metrics.count(h.kind, outcome, d)
	attrs := []slog.Attr{
		slog.String("review", h.kind),
		slog.String("outcome", string(outcome)),
		slog.String("uid", shortened(string(req.UID))),
		slog.String("namespace", shortened(req.Namespace)),
		slog.String("pod", shortened(req.Name)),
		slog.String("requester", shortened(req.UserInfo.Username)),
		slog.String("user", d.User.String()),
		slog.String("discovery", string(d.Discovery)),
		slog.Bool("dryRun", req.DryRun),
		slog.Int("operations", len(d.Operations)),
		slog.Float64("ms", float64(took.Microseconds())/1000),
	}
	if len(d.Denials) > 0 {
		var reasons []string
		for _, r := range denial.FirstDenials(d.Denials) {
			reasons = append(reasons, string(r.Reason))
		}
		attrs = append(attrs, slog.Any("reasons", reasons), slog.String("message", denial.Join(d.Denials)))
	}
	if d.Peer != "" {
		attrs = append(attrs, slog.String("peer", d.Peer))
	}
	if d.Fault != nil {
		attrs = append(attrs, slog.String("fault", d.Fault.Error()))
	}
	level := slog.LevelInfo
	if outcome == outcomeFault {
		level = slog.LevelError
	}
	h.log.LogAttrs(ctx, level, "admission", attrs...)
}

// shortened is more than any valid name has.
func shortened(name string) string { return denial.Cut(name, 256) }

// The kinds of review.
const (
	kindMutate = "mutate"
	kindVerify = "verify"
)

// NewHandler serves the paths and nothing else. The peers are the other replicas; nil where there are none.
func NewHandler(w *webhook.Webhook, log *slog.Logger, metrics *Metrics, peers *Peers) http.Handler {
	mux := http.NewServeMux()
	foretells, verify := w.Mode() == config.ModeWarn, w.Verify
	if foretells {
		verify = w.VerifyInWarnMode
	}
	for path, h := range map[string]*handler{
		MutatePath:           {kind: kindMutate, decide: w.Decide, warnOnly: foretells},
		MutateRestrictedPath: {kind: kindMutate, decide: w.Decide, warnOnly: foretells, restricted: true},
		VerifyPath:           {kind: kindVerify, decide: verify, warnOnly: foretells, peers: peers},
		// What another replica is told is carried out there, or not: while one mode takes over from the other, one that carries
		// out would else admit what one that does not has let pass.
		PeerPath: {kind: kindVerify, decide: w.Verify},
	} {
		h.log, h.metrics = log, metrics
		mux.Handle("POST "+path, h)
	}
	return mux
}
