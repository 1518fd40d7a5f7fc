package webhook

import (
	"context"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Verify compares a Pod, as it is after everything that changes Pods, with the plan for it. So nothing that ran after us, and
// nobody who prepared a look-alike, gets through: each field of ours must be as planned, and whatever else there is passes. No
// other place says what a notebook is: the policies of the chart decide who may have one.
//
// The identity is not found anew but taken from the pod and held against its source, so that a user who comes to be known
// between the two reviews of one pod is told to try again and never gets a pod of half this and half that.
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
	generation, made := pod.Metadata.Annotations[inject.ConfigAnnotation]
	switch {
	case !made:
		return Denied(d, denial.NotInjected("annotations of the webhook"))
	case generation != w.planner.Generation():
		d.OtherGeneration = true
		return Denied(d, denial.GenerationUnknown(inject.ConfigAnnotation, generation))
	}
	ctx, cancel := w.limitBoth(ctx)
	defer cancel()
	name, refusals, err := w.confirmName(ctx, pod)
	if len(refusals) > 0 {
		d.Fault = err
		return Denied(d, refusals...)
	}
	d.User = name
	d.Identity, err = w.identityOnPod(pod)
	if err != nil {
		return Denied(d, denial.Drifted(denial.AnnotationField(inject.IdentityAnnotation)))
	}
	if refusal, err := w.confirm(ctx, name, d.Identity); refusal != nil {
		d.Fault = err
		return Denied(d, *refusal)
	}
	return w.compare(pod, review, d)
}

// verifyUnclaimed denies a Pod that is not claimed and has something that only a notebook can have: nobody has compared it with a
// plan, and who reads the Pod later would take it for a notebook.
func (w *Webhook) verifyUnclaimed(pod *pod.Pod) Decision {
	mark := inject.NotebookMark(pod)
	if mark == "" {
		return Decision{}
	}
	why := user.NotClaimedBecause(pod.Metadata.Labels, pod.Metadata.Annotations, w.config.User)
	return Denied(Decision{Claimed: true}, denial.Unclaimed(mark, why))
}

// identityOnPod returns the identity that the Pod was made with, and its home where that comes with it; nil where the Pod finds its
// own.
func (w *Webhook) identityOnPod(pod *pod.Pod) (*identity.Identity, error) {
	text, ok := pod.Metadata.Annotations[inject.IdentityAnnotation]
	if !ok {
		return nil, nil
	}
	id, err := identity.Parse(text)
	if w.config.Share.HomesByField() {
		id.Home = pod.Metadata.Annotations[inject.HomeAnnotation]
	}
	return &id, err
}

// confirm denies a Pod whose identity is not the user's any more. Whatever the sources say now, they said something else when the
// Pod was made, or another replica has heard something else: that is no fault of the Pod's. The error is what went wrong behind a
// denial that does not tell.
//
//	the sources say                          the denial
//	the identity of the Pod                  none
//	another one, or that the user is none    IdentityDiffers, 503: made again, the Pod gets the new one, or the true denial
//	nothing                                  IdentitySilent, 503
func (w *Webhook) confirm(ctx context.Context, name user.Name, given *identity.Identity) (*denial.Denial, error) {
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	now, err := w.expectedIdentity(ctx, name, Identities.Find)
	if isFinal(err) || err == nil && !sameIdentity(now, given) {
		// What is remembered here may be older than what another replica has found.
		now, err = w.expectedIdentity(ctx, name, Identities.FindUncached)
	}
	switch {
	case err != nil && !isFinal(err):
		silent := denial.IdentitySilent(name.String())
		return &silent, err
	case err != nil || !sameIdentity(now, given):
		differs := denial.IdentityDiffers(inject.IdentityAnnotation, name.String())
		return &differs, err
	}
	return nil, nil
}

// expectedIdentity is the identity that a pod of the user is made with now.
func (w *Webhook) expectedIdentity(ctx context.Context, name user.Name, how finder) (*identity.Identity, error) {
	now, err := w.find(ctx, name, how)
	if err != nil || now == nil {
		return nil, err
	}
	limited := inject.LimitGroups(w.config.Identity, name, *now)
	return &limited.Identity, nil
}

func sameIdentity(a, b *identity.Identity) bool {
	return a == nil && b == nil || a != nil && b != nil && a.String() == b.String() && a.Home == b.Home
}

// compare holds the pod against the plan for whom it says it is.
func (w *Webhook) compare(pod *pod.Pod, review Review, d Decision) Decision {
	plan := w.planner.Plan(pod, inject.Facts{
		Namespace: review.Namespace, Restricted: review.Restricted, User: d.User, Identity: d.Identity,
		Asked: w.asksSources(),
	})
	outcome := inject.Reconcile(pod, plan)
	d.Discovery = plan.Discovery
	d.Denials = outcome.Denials
	for _, field := range outcome.Drift() {
		d.Denials = append(d.Denials, denial.Drifted(field))
	}
	return d
}
