package server

import (
	"context"
	"log/slog"
	"time"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// auditAnnotations returns the annotations for the API server's audit log, so that this log alone shows which requester ran
// a Pod as which user. The API server prefixes each key with the name of the webhook. With impersonation the requester is
// the impersonated user, whose access the policies check. An admitted Pod that is not claimed gets no annotations.
func (h *handler) auditAnnotations(req request, d webhook.Decision) map[string]string {
	if !d.Claimed && len(d.Denials) == 0 {
		return nil
	}
	annotations := map[string]string{"requester": shortened(req.UserInfo.Username)}
	add := func(key, value string) {
		if value != "" {
			annotations[key] = value
		}
	}
	add("user", d.User.String())
	add("discovery", string(d.Discovery))
	add("identity", d.IdentityText())
	if len(d.Denials) > 0 {
		annotations["reason"] = string(d.Denials[0].Reason)
	}
	if h.warnOnly {
		annotations["mode"] = string(config.ModeWarn)
	}
	return annotations
}

// record writes the log line of a review, and counts the review. Of the Pod's content the line has only the name, the user,
// and what the denials quote, such as names, paths and values of our annotations. Names and quotes are shortened: mutating
// webhooks are called before validation, so the name of a Pod can be any text of any length.
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
		attrs = append(attrs, slog.String("fault", denial.Shortened(d.Fault)))
	}
	level := slog.LevelInfo
	if outcome == outcomeFault {
		level = slog.LevelError
	}
	h.log.LogAttrs(ctx, level, "admission", attrs...)
}

// shortened cuts a text to 400 bytes. No valid name of a Pod or namespace is longer, and no username of a ServiceAccount, which
// has at most 339 bytes. The name of another requester can be longer.
func shortened(name string) string { return denial.Cut(name, 400) }
