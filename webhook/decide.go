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
	// identityTimeout is the time limit of all lookups in one review of a Pod: those of the hub name and those of the
	// identity. KubeSpawner's client gives up after 3 s. In that time a Pod has two or three reviews: a mutating one, which
	// the API server can repeat, and a validating one.
	identityTimeout = 700 * time.Millisecond
	// maxOperations is the limit of operations in one patch. A usual Pod takes a few dozen, and one more for each duplicate
	// variable. The API server copies the changed list for each operation: 60,000 operations took 5.8 s.
	maxOperations = 1000
)

// Webhook changes, admits or denies Pods by one configuration, which does not change while the process runs. It is safe for
// concurrent use.
type Webhook struct {
	config     *config.Config
	planner    *inject.Planner
	identities Identities
	// hubNames is nil if the configuration maps no hub names, or if this process cannot map them, such as the command inject
	// without the map file. In the second case, Pods with a hub name are denied.
	hubNames HubNames
}

// New returns a webhook for a validated configuration. identities is nil if no source of identities is configured. Then
// no UID is known at admission.
func New(c *config.Config, identities Identities) *Webhook {
	return &Webhook{config: c, planner: inject.NewPlanner(c), identities: identities}
}

// Mode returns the configured mode.
func (w *Webhook) Mode() config.Mode { return w.config.Mode }

// Review is a Pod to be created, as JSON, and its namespace.
type Review struct {
	Pod       []byte
	Namespace string
	// Restricted reports whether the namespace enforces the Pod Security Standard restricted.
	Restricted bool

	// Decoded is the decoded Pod if the caller has decoded it already; otherwise nil.
	Decoded *pod.Pod
	// TooLong is the error if the caller could not decode the Pod because a list or a map is too long; otherwise nil.
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

// Decision is the result of Decide or Verify for one Pod.
type Decision struct {
	// Claimed reports whether the labels and annotations claim the Pod as a user's notebook. Claimed is also true for two
	// kinds of denied Pods: one that cannot be read, and one that is not claimed but has marks of a notebook, such as an
	// annotation of ours. A Pod that is not claimed is not changed.
	Claimed bool
	// Unclaimed is the reason why the Pod is not claimed, such as denial.NoLabel. Only Decide sets Unclaimed.
	Unclaimed string
	// User, Identity and Discovery are empty if the decision was made before they were found, or by another replica. With
	// discovery at start, Identity is nil.
	User      user.Name
	Identity  *identity.Identity
	Discovery config.Discovery
	// NamedBy describes the label or annotation that names the user. Plan is the plan for the Pod; nil if the Pod was
	// denied before planning. Only Decide sets NamedBy and Plan, for inject --explain.
	NamedBy string
	Plan    *inject.Plan
	// Fault is the error that caused a denial, for the log; nil if no error did.
	Fault error
	// Peer is the other replica that made the decision, for the log; empty if this replica made it.
	Peer string
	// OtherGeneration reports whether the Pod was injected under a configuration that this replica does not have.
	OtherGeneration bool
	inject.Outcome
}

// Decide returns the patch for a Pod, or its denials: it finds the user and the identity, plans, and reconciles.
func (w *Webhook) Decide(ctx context.Context, review Review) Decision {
	pod, err := review.read()
	if err != nil {
		return w.denyUnread(review, err)
	}
	if labels, annotations := pod.Metadata.Labels, pod.Metadata.Annotations; !user.Claimed(labels, annotations, w.config.User) {
		return Decision{Unclaimed: user.NotClaimedBecause(labels, annotations, w.config.User)}
	}
	d := Decision{Claimed: true, NamedBy: user.NamedBy(pod.Metadata.Labels, pod.Metadata.Annotations)}
	if invalid := user.CheckInject(pod.Metadata.Annotations); invalid != nil {
		return Denied(d, *invalid)
	}
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	name, denials, err := w.nameOf(ctx, pod, HubNames.FromHub)
	if len(denials) > 0 {
		d.Fault = err
		return Denied(d, denials...)
	}
	d.User = name
	id, err := w.find(ctx, name, Identities.Find)
	if err != nil {
		d.Fault = err
		return Denied(d, identityDenial(name, err))
	}
	plan := w.planner.Plan(pod, w.facts(review, name, id))
	d.Plan, d.Discovery = plan, plan.Discovery
	d.Identity = plan.Identity
	d.Outcome = inject.Reconcile(pod, plan)
	if len(d.Operations) > maxOperations {
		tooMany := denial.TooManyChanges(len(d.Operations), maxOperations)
		d.Operations = nil
		return Denied(d, tooMany)
	}
	return d
}

// denyUnread denies a Pod that cannot be read. There is one exception: a Pod that is not claimed, and cannot be read only
// because a list or a map is too long, is admitted unchanged.
func (w *Webhook) denyUnread(review Review, err error) Decision {
	if _, tooLong := errors.AsType[*pod.TooLongError](err); tooLong {
		labels, annotations, fault := inject.ReadClaim(review.Pod)
		if fault == nil && !user.Claimed(labels, annotations, w.config.User) {
			return Decision{Unclaimed: user.NotClaimedBecause(labels, annotations, w.config.User)}
		}
	}
	return Denied(Decision{Claimed: true}, unreadablePod(err))
}

// unreadablePod returns the denial for an error of Review.read: the document is no valid Pod, or a list or a map is too
// long.
func unreadablePod(err error) denial.Denial {
	tooLong, ok := errors.AsType[*pod.TooLongError](err)
	switch {
	case !ok:
		return denial.PodUnreadable(err)
	case tooLong.Field == "":
		return denial.TooManyKeys(tooLong.Have, tooLong.Max)
	case tooLong.Have == 0:
		return denial.TooManyInAll(tooLong.Field, tooLong.Max)
	}
	return denial.TooMany(tooLong.Field, tooLong.Have, tooLong.Max)
}

// facts returns what is known about a Pod besides its document. id is nil if the identity is not known at admission.
func (w *Webhook) facts(review Review, name user.Name, id *identity.Identity) inject.Facts {
	return inject.Facts{
		Namespace:      review.Namespace,
		Restricted:     review.Restricted,
		User:           name,
		Identity:       id,
		SourcesQueried: w.queriesSources(),
	}
}

// find returns the identity of a user; nil if no source knows the user, or if the webhook queries no sources
// (queriesSources).
func (w *Webhook) find(ctx context.Context, name user.Name, lookup finder) (*identity.Identity, error) {
	if !w.queriesSources() {
		return nil, nil
	}
	id, err := lookup(w.identities, ctx, name)
	if err != nil {
		return nil, fmt.Errorf("find the identity of %s: %w", name, err)
	}
	return id, nil
}

// queriesSources reports whether the webhook looks identities up at admission: a source is configured, and
// identity.discovery is not AtStart.
func (w *Webhook) queriesSources() bool {
	return w.identities != nil && w.config.Identity.Discovery != config.DiscoveryAtStart
}

// finder is Identities.Find or Identities.FindUncached.
type finder func(Identities, context.Context, user.Name) (*identity.Identity, error)

// IdentityText returns the user's identity as text; empty if Identity is nil, or if Discovery is not AtAdmission.
func (d Decision) IdentityText() string {
	if d.Identity == nil || d.Discovery != config.DiscoveryAtAdmission {
		return ""
	}
	return d.Identity.String()
}

// Denied returns a copy of d in which Denials are the given denials.
func Denied(d Decision, denials ...denial.Denial) Decision {
	d.Denials = denials
	return d
}
