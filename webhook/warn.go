package webhook

import (
	"context"

	admissionv1 "k8s.io/api/admission/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// warn admits a pod as it is, and says what would become of it: mode Warn changes nothing and refuses nothing, not even
// what it cannot read.
func warn(d Decision) *admissionv1.AdmissionResponse {
	var warnings []string
	for _, refusal := range denial.FirstDenials(d.Denials) {
		warnings = append(warnings, denial.WouldBeDenied(refusal))
	}
	if len(d.Denials) == 0 && len(d.Operations) > 0 {
		warnings = append(warnings, denial.WouldBecome(d.User.String(), string(d.Way), d.identity()))
	}
	for _, warning := range d.Warnings {
		warnings = append(warnings, denial.WouldWarn(warning))
	}
	return &admissionv1.AdmissionResponse{Allowed: true, Warnings: denial.FirstWarnings(warnings)}
}

// VerifyInWarnMode is Verify where pods are left as they are. One that a user has labelled would have been changed by now, so it is
// changed here, and that is what is held against the plan; what the verifier says of any other pod is true of it as it is.
func (w *Webhook) VerifyInWarnMode(ctx context.Context, review Review) Decision {
	pod, err := review.read()
	if err != nil || !user.Claimed(pod.Metadata.Labels, pod.Metadata.Annotations, w.config.User) {
		return w.Verify(ctx, review)
	}
	if _, made := pod.Metadata.Annotations[inject.ConfigAnnotation]; made {
		return w.Verify(ctx, review)
	}
	d := w.Decide(ctx, review)
	if len(d.Denials) > 0 {
		return d
	}
	review.decoded = nil
	review.Pod, err = inject.Apply(review.Pod, d.Operations)
	if err != nil {
		d.Fault = err
		return denied(d, denial.Internal(""))
	}
	return w.Verify(ctx, review)
}
