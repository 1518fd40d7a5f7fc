package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

const (
	// identityTimeout is how long an identity may take to be found. KubeSpawner's client gives up after 3 s, and every answer is
	// to be there within 1 s.
	identityTimeout = 700 * time.Millisecond
	// maxOperations that one pod is given. An injected pod takes about 20, and a few more for each variable and mount that
	// is there twice. The API server pays for each with a copy of the list: 60,000 of them took it 5.8 s.
	maxOperations = 1000
)

// Webhook decides about pods by one configuration, which never changes in its lifetime. It is safe for concurrent use.
type Webhook struct {
	config     *config.Config
	planner    *inject.Planner
	identities Identities
	// hubNames is nil if the configuration maps none.
	hubNames HubNames
}

// New takes a validated configuration and who knows identities; nil where nobody does, and every pod finds its own.
func New(c *config.Config, identities Identities) *Webhook {
	return &Webhook{config: c, planner: inject.NewPlanner(c), identities: identities}
}

// Mode returns the configured mode.
func (w *Webhook) Mode() config.Mode { return w.config.Mode }

// Review is a pod that somebody wants to create, as JSON, and where.
type Review struct {
	Pod       []byte
	Namespace string
	// Restricted tells that the namespace enforces the Pod Security Standard restricted.
	Restricted bool

	// Decoded is Pod, where that was done with the review that it came in; or nil.
	Decoded *pod.Pod
	// TooLong is why it was not; or nil.
	TooLong *pod.TooLongError
}

func (r Review) read() (*pod.Pod, error) {
	switch {
	case r.TooLong != nil:
		return nil, r.TooLong
	case r.Decoded == nil:
		return pod.Read(r.Pod)
	}
	return r.Decoded, r.Decoded.Check()
}

// Decision about one pod.
type Decision struct {
	// Claimed tells whether the pod says that it is a user's notebook. One that does not is left alone.
	Claimed bool
	// Unclaimed is why a Pod is left alone, as the end of a sentence.
	Unclaimed string
	// User, Identity and Way as far as they are known; they are for the log.
	User      user.Name
	Identity  *identity.Identity
	Discovery config.Discovery
	// NamedBy is where the pod names the user, and Plan what it was to become: for who explains it. There is no plan for a pod
	// that did not come to one.
	NamedBy string
	Plan    *inject.Plan
	// Fault is what went wrong behind an answer that does not tell; it is for the log.
	Fault error
	// Peer is who has answered in our place; it is for the log.
	Peer string
	// OtherGeneration tells that the pod was made from a configuration which this replica does not have.
	OtherGeneration bool
	inject.Outcome
}

// Decide is the whole way from a pod to its patch: user, identity, plan, patch. The server and the command line run this.
func (w *Webhook) Decide(ctx context.Context, review Review) Decision {
	pod, err := review.read()
	if err != nil {
		return w.unread(review, err)
	}
	if labels, annotations := pod.Metadata.Labels, pod.Metadata.Annotations; !user.Claimed(labels, annotations, w.config.User) {
		return Decision{Unclaimed: user.NotClaimedBecause(labels, annotations, w.config.User)}
	}
	d := Decision{Claimed: true, NamedBy: user.NamedBy(pod.Metadata.Labels, pod.Metadata.Annotations)}
	if invalid := user.CheckInject(pod.Metadata.Annotations); invalid != nil {
		return Denied(d, *invalid)
	}
	ctx, cancel := w.limitBoth(ctx)
	defer cancel()
	name, refusals, err := w.nameOf(ctx, pod, HubNames.FromHub)
	if len(refusals) > 0 {
		d.Fault = err
		return Denied(d, refusals...)
	}
	d.User = name
	id, err := w.find(ctx, name, Identities.Find)
	if err != nil {
		d.Fault = err
		return Denied(d, identityDenial(name, err))
	}
	plan := w.planner.Plan(pod, inject.Facts{
		Namespace:  review.Namespace,
		Restricted: review.Restricted,
		User:       name,
		Identity:   id,
		Asked:      w.asksSources(),
	})
	d.Plan, d.Discovery = plan, plan.Discovery
	d.Identity = plan.Identity
	d.Outcome = inject.Reconcile(pod, plan)
	d.Warnings = denial.FirstWarnings(d.Warnings)
	if len(d.Operations) > maxOperations {
		tooMany := denial.TooManyChanges(len(d.Operations), maxOperations)
		d.Operations = nil
		return Denied(d, tooMany)
	}
	return d
}

// unread denies a Pod that cannot be read. One with too long a list is left alone if it is not claimed, which its metadata say.
func (w *Webhook) unread(review Review, err error) Decision {
	if _, tooLong := errors.AsType[*pod.TooLongError](err); tooLong {
		labels, annotations, fault := inject.ReadClaim(review.Pod)
		if fault == nil && !user.Claimed(labels, annotations, w.config.User) {
			return Decision{}
		}
	}
	return Denied(Decision{Claimed: true}, unreadablePod(err))
}

// unreadablePod returns the denial of a Pod that cannot be read, or not to the end.
func unreadablePod(err error) denial.Denial {
	tooLong, ok := errors.AsType[*pod.TooLongError](err)
	switch {
	case !ok:
		return denial.PodUnreadable(err)
	case tooLong.Field == "":
		return denial.TooManyNames(tooLong.Have, tooLong.Max)
	case tooLong.Have == 0:
		return denial.TooManyInAll(tooLong.Field, tooLong.Max)
	}
	return denial.TooMany(tooLong.Field, tooLong.Have, tooLong.Max)
}

// limitBoth returns a context with one time limit for both questions: who the user is, and what the user's identity is. Where
// hubs' names are not mapped, only the second is asked, which has that limit by itself.
func (w *Webhook) limitBoth(ctx context.Context) (context.Context, context.CancelFunc) {
	if w.hubNames == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, identityTimeout)
}

// find returns the identity of a user; nil if no source knows the user, or if none is asked.
func (w *Webhook) find(ctx context.Context, name user.Name, how finder) (*identity.Identity, error) {
	if !w.asksSources() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	id, err := how(w.identities, ctx, name)
	if err != nil {
		return nil, fmt.Errorf("find the identity of %s: %w", name, err)
	}
	return id, nil
}

// asksSources reports whether sources of identities are configured and asked.
func (w *Webhook) asksSources() bool {
	return w.identities != nil && w.config.Identity.Discovery != config.DiscoveryAtStart
}

// finder is Identities.Find or Identities.FindUncached.
type finder func(Identities, context.Context, user.Name) (*identity.Identity, error)

// IdentityText is the one that the pod runs as from its first instruction; empty where it is found at start.
func (d Decision) IdentityText() string {
	if d.Identity == nil || d.Discovery != config.DiscoveryAtAdmission {
		return ""
	}
	return d.Identity.String()
}

// Denied returns the decision with denials in place of what was planned.
func Denied(d Decision, refusals ...denial.Denial) Decision {
	d.Denials = refusals
	return d
}
