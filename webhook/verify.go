package webhook

import (
	"context"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Verify compares the final Pod, after all mutating webhooks, with the plan for it. Each field of ours must be as planned,
// so neither a later webhook nor the author of the Pod can choose the value of such a field. Verify does not check the
// fields that are the Pod's. The chart's policies, not Verify, decide which requester may create Pods of which user.
//
// Verify reads the identity from the Pod and confirms it at the sources of identities. If the identity has changed between
// the two reviews of one Pod, the denial says "try again", and no Pod is admitted with parts of two identities.
func (w *Webhook) Verify(ctx context.Context, review Review) Decision {
	pod, err := review.read()
	if err != nil {
		return Denied(Decision{Claimed: true}, unreadablePod(err))
	}
	if !user.Claimed(pod.Metadata.Labels, pod.Metadata.Annotations, w.config.User) {
		return w.verifyUnclaimed(pod)
	}
	d := Decision{Claimed: true}
	if invalid := user.CheckInject(pod.Metadata.Annotations); invalid != nil {
		return Denied(d, *invalid)
	}
	generation, injected := pod.Metadata.Annotations[inject.ConfigAnnotation]
	switch {
	case !injected:
		return Denied(d, denial.NotInjected("annotations of the webhook"))
	case generation != w.planner.Generation():
		d.OtherGeneration = true
		return Denied(d, denial.GenerationUnknown(inject.ConfigAnnotation, generation))
	}
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	name, denials, err := w.confirmName(ctx, pod)
	if len(denials) > 0 {
		d.Fault = err
		return Denied(d, denials...)
	}
	d.User = name
	d.Identity, err = IdentityOn(w.config, pod.Metadata.Annotations)
	if err != nil {
		return Denied(d, denial.Drifted(denial.AnnotationField(inject.IdentityAnnotation)))
	}
	if denied, err := w.confirm(ctx, name, d.Identity); denied != nil {
		d.Fault = err
		return Denied(d, *denied)
	}
	return w.compare(pod, review, d)
}

// verifyUnclaimed denies a Pod that is not claimed, but has an annotation of ours (other than jupyter-user.io/inject) or a
// container with our init container's name. The webhook did not write these, and readers of the Pod would take the Pod for
// a notebook.
func (w *Webhook) verifyUnclaimed(pod *pod.Pod) Decision {
	mark := inject.NotebookMark(pod)
	if mark == "" {
		return Decision{}
	}
	why := user.NotClaimedBecause(pod.Metadata.Labels, pod.Metadata.Annotations, w.config.User)
	return Denied(Decision{Claimed: true}, denial.Unclaimed(mark, why))
}

// IdentityOn returns the identity in the annotations of a Pod; nil if there is none, as with discovery at start. It returns
// an error if the annotation jupyter-user.io/identity is invalid. With share.homePrefix, the identity includes the home from
// the annotation jupyter-user.io/home.
func IdentityOn(c *config.Config, annotations map[string]string) (*identity.Identity, error) {
	text, ok := annotations[inject.IdentityAnnotation]
	if !ok {
		return nil, nil
	}
	id, err := identity.Parse(text)
	if c.Share.HomesByField() {
		id.Home = annotations[inject.HomeAnnotation]
	}
	return &id, err
}

// confirm denies a Pod whose identity is not the user's. Usually the sources have changed since the Pod was injected, or the
// replica that injected the Pod saw an older or newer state of the sources. Then another attempt can succeed, so each denial
// has code 503. The error is the cause of the denial, for the log; it can be nil.
//
//	the sources return                         the denial
//	the identity of the Pod                    none
//	a different identity, or none              IdentityDiffers, 503: a new Pod gets the new identity, or a denial with the cause
//	an unusable account, or they disagree      IdentityDiffers, 503
//	another error, such as a timeout           IdentitySilent, 503
func (w *Webhook) confirm(ctx context.Context, name user.Name, onPod *identity.Identity) (*denial.Denial, error) {
	now, err := w.expectedIdentity(ctx, name, Identities.Find)
	if IsFinal(err) || err == nil && !sameIdentity(now, onPod) {
		// This replica's cache can be older than that of the replica that injected the Pod.
		now, err = w.expectedIdentity(ctx, name, Identities.FindUncached)
	}
	switch {
	case err != nil && !IsFinal(err):
		return new(denial.IdentitySilent(name.String())), err
	case err != nil || !sameIdentity(now, onPod):
		return new(denial.IdentityDiffers(inject.IdentityAnnotation, name.String())), err
	}
	return nil, nil
}

// expectedIdentity returns the identity with which a Pod of the user would be injected now.
func (w *Webhook) expectedIdentity(ctx context.Context, name user.Name, lookup finder) (*identity.Identity, error) {
	now, err := w.find(ctx, name, lookup)
	if err != nil || now == nil {
		return nil, err
	}
	limited := inject.Limit(w.config.Identity, name, *now)
	return &limited.Identity, nil
}

func sameIdentity(a, b *identity.Identity) bool {
	return a == nil && b == nil || a != nil && b != nil && a.String() == b.String() && a.Home == b.Home
}

// compare plans the Pod for the user and identity in d. It returns d with the denials of the reconciliation, and with one
// more for each field of ours that is not as planned.
func (w *Webhook) compare(pod *pod.Pod, review Review, d Decision) Decision {
	plan := w.planner.Plan(pod, w.facts(review, d.User, d.Identity))
	outcome := inject.Reconcile(pod, plan)
	d.Discovery = plan.Discovery
	d.Denials = outcome.Denials
	for _, field := range outcome.Drift() {
		d.Denials = append(d.Denials, denial.Drifted(field))
	}
	return d
}
