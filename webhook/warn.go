package webhook

import (
	"context"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// VerifyInWarnMode is Verify where pods are left as they are. One that a user has labelled would have been changed by now, so it
// is changed here, and that is what is held against the plan; what the verifier says of any other pod is true of it as it is.
func (w *Webhook) VerifyInWarnMode(ctx context.Context, review Review) Decision {
	document, err := review.read()
	if err != nil || !user.Claimed(document.Metadata.Labels, document.Metadata.Annotations, w.config.User) {
		return w.Verify(ctx, review)
	}
	if _, made := document.Metadata.Annotations[inject.ConfigAnnotation]; made {
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
