package webhook

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

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
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
	decide     func(context.Context, Review) Decision
	restricted bool
	// warnOnly tells that decisions are said and not carried out.
	warnOnly bool
	// peers may know what this replica does not; nil where nobody is to be asked.
	peers   *Peers
	log     *slog.Logger
	metrics *Metrics
}

// refuse answers what has not become an admission; it is logged and counted as one.
func (h *handler) refuse(ctx context.Context, req request, a denial.Denial, began time.Time) *admissionv1.AdmissionResponse {
	d := denied(Decision{}, a)
	h.record(ctx, req, d, time.Since(began))
	resp := h.answer(d, nil)
	resp.AuditAnnotations = h.audited(req, d)
	return resp
}

// handle turns a request into a decision and a decision into a response. A fault of ours is an answer too. The body is what the
// request was read from, and has the patch in the room behind it.
func (h *handler) handle(
	ctx context.Context, req request, body *bytes.Buffer, began time.Time,
) (resp *admissionv1.AdmissionResponse) {
	d := Decision{}
	defer func() {
		if fault := recover(); fault != nil {
			h.log.ErrorContext(ctx, "panic", "uid", req.UID, "fault", fault, "stack", string(debug.Stack()))
			d = denied(d, denial.Internal(string(req.UID)))
			resp = h.answer(d, nil)
		}
		if d.Peer == "" || h.warnOnly {
			resp.AuditAnnotations = h.audited(req, d)
		}
		h.record(ctx, req, d, time.Since(began))
	}()

	// Only what is created is ours to change. The shipped webhook configuration asks for nothing else; where another one
	// does, with pods/* say, no binding and no eviction is to fail by us. Those are not of kind Pod.
	if req.SubResource != "" {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	if kind := req.Kind; kind.Group != "" || kind.Version != "v1" || kind.Kind != "Pod" {
		d = denied(d, denial.NotAPodReview(strings.Trim(kind.Group+"/"+kind.Version+" "+kind.Kind, "/ ")))
		return h.answer(d, nil)
	}
	if req.Operation != admissionv1.Create {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	d = h.decide(ctx, Review{
		Pod: req.Object.in(body.Bytes()), Namespace: req.Namespace, Restricted: h.restricted,
		decoded: req.Object.pod, tooLong: req.Object.tooLong})
	if h.peers != nil && d.otherGeneration {
		answered, peer, err := h.peers.ask(ctx, body.Bytes())
		h.metrics.asked(err)
		if err == nil {
			d = elsewhere(answered, peer)
			if h.warnOnly {
				return warn(d)
			}
			return answered
		}
		d.Fault = fmt.Errorf("ask the other replicas: %w", err)
	}
	return h.answer(d, roomBehind(body, len(d.Operations)))
}

// roomBehind a body is for a patch of so many operations. A buffer that would be too large to be kept is left as it is: where
// there is no room, the patch finds its own.
func roomBehind(body *bytes.Buffer, operations int) []byte {
	if size := operations * usualOperation; body.Len()+size <= maxKept/2 { // It may grow to twice of that.
		body.Grow(size)
	}
	return body.AvailableBuffer()
}

// answer carries a decision out, or says what it is. The room is for the patch.
func (h *handler) answer(d Decision, room []byte) (resp *admissionv1.AdmissionResponse) {
	switch {
	case h.warnOnly:
		return warn(d)
	case len(d.Denials) > 0:
		resp = deny(d.Denials)
	default:
		resp = allow(d.Operations, room)
	}
	resp.Warnings = d.Warnings
	return resp
}

// allow is with the patch, where there is anything to patch.
func allow(operations []jsonpatch.Operation, room []byte) *admissionv1.AdmissionResponse {
	resp := &admissionv1.AdmissionResponse{Allowed: true}
	if len(operations) == 0 {
		return resp
	}
	resp.Patch, resp.PatchType = inject.AppendPatch(room, operations), &patchType
	return resp
}

// usualOperation is how long one is as JSON, in bytes, about.
const usualOperation = 192

// patchType of every patch: that of RFC 6902.
var patchType = admissionv1.PatchTypeJSONPatch

// deny puts every refusal into one status. Code and reason are those of the first, which is the one to mend first.
func deny(refusals []denial.Denial) *admissionv1.AdmissionResponse {
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

// audited is what the API server's audit log keeps of an admission, each under the name of the entry of the webhook
// configuration: with it, that log alone answers who ran as whom. The requester is whom access was asked for, which is not who
// sent the request where that impersonates somebody. A pod that is none of ours leaves nothing.
func (h *handler) audited(req request, d Decision) map[string]string {
	if !d.Claimed && len(d.Denials) == 0 {
		return nil
	}
	kept := map[string]string{"requester": short(req.UserInfo.Username)}
	keep := func(key, value string) {
		if value != "" {
			kept[key] = value
		}
	}
	keep("user", d.User.String())
	keep("way", string(d.Way))
	keep("identity", d.identity())
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
func (h *handler) record(ctx context.Context, req request, d Decision, took time.Duration) {
	outcome := outcomeOf(h.kind, d)
	if h.warnOnly {
		outcome = outcome.inWarnMode()
	}
	h.metrics.count(h.kind, outcome, d)
	attrs := []slog.Attr{
		slog.String("review", h.kind),
		slog.String("outcome", string(outcome)),
		slog.String("uid", short(string(req.UID))),
		slog.String("namespace", short(req.Namespace)),
		slog.String("pod", short(req.Name)),
		slog.String("requester", short(req.UserInfo.Username)),
		slog.String("user", d.User.String()),
		slog.String("way", string(d.Way)),
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

// short is more than any valid name has.
func short(name string) string { return denial.Cut(name, 256) }

// The kinds of review.
const (
	kindMutate = "mutate"
	kindVerify = "verify"
)

// Handler serves the paths and nothing else. The peers are the other replicas; nil where there are none.
func (w *Webhook) Handler(log *slog.Logger, metrics *Metrics, peers *Peers) http.Handler {
	mux := http.NewServeMux()
	foretells, verify := w.config.Mode == config.ModeWarn, w.Verify
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
