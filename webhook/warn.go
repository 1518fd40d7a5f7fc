package webhook

import (
	"context"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// VerifyInWarnMode is Verify for Warn mode, in which package webhook/server changes no Pod. For a claimed Pod that
// was not injected, VerifyInWarnMode returns the denials of Decide. If there are none, it verifies a copy of the Pod,
// injected by Decide. Any other Pod is verified as it is.
func (w *Webhook) VerifyInWarnMode(ctx context.Context, review Review) Decision {
	document, err := review.read()
	if err != nil || !user.Claimed(document.Metadata.Labels, document.Metadata.Annotations, w.config.User) {
		return w.Verify(ctx, review)
	}
	if _, injected := document.Metadata.Annotations[inject.ConfigAnnotation]; injected {
		return w.Verify(ctx, review)
	}
	d := w.Decide(ctx, review)
	if len(d.Denials) > 0 {
		return d
	}
	review.Decoded = nil
	review.Pod, err = pod.Apply(review.Pod, d.Operations)
	if err != nil {
		d.Fault = err
		return Denied(d, denial.Internal(""))
	}
	return w.Verify(ctx, review)
}
