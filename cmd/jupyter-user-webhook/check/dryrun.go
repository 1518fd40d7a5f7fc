package check

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// dryRun is the check "dry-run": it creates a labelled Pod in a dry run, which changes nothing. The result shows whether the API
// server calls the webhook, whether the webhook responds, and whether later webhooks change the Pod. A denial by the mutating
// webhook shows that the webhook responds. Policies run after the webhook, so a denial by a policy of the chart shows the same,
// unless its reason is NotInjected.
func dryRun(ctx context.Context, s *state) []Finding {
	namespace, there := s.dryRunNamespace()
	if !there {
		return []Finding{unknown("", "no namespace that is served has the share, so there is nowhere to try a notebook: see "+
			"the check claims")}
	}
	where := "namespace " + namespace
	name, fault := user.Parse("", s.User, s.config.User)
	if fault != nil {
		return []Finding{unknown(where, "%s: a denial of that name would prove nothing about others: try another one with "+
			"--user", fault)}
	}
	s.User = name.String()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "create", Resource: "pods"},
	}}
	if err := s.cluster.client.Create(ctx, review); err != nil {
		return []Finding{unknown(where, "it is unknown whether you may create Pods: %s", oneLine(err))}
	}
	if !review.Status.Allowed {
		return []Finding{unknown(where, "unknown without the right to create Pods there, which is used only for a dry run: ask for "+
			"it, or name another namespace with -n")}
	}
	pod := notebook(namespace, s.User)
	collecting, collected := collectWarnings(ctx)
	err := s.cluster.client.Create(collecting, pod, client.DryRunAll)
	warnings := warnModeWarnings(collected.warnings)
	if s.mode() == config.ModeWarn || len(warnings) > 0 && !isInjected(pod.Annotations) {
		return []Finding{s.judgeWarnMode(where, pod, warnings, err)}
	}
	if err != nil {
		return []Finding{judgeDenial(where, err)}
	}
	return []Finding{s.judgeAdmitted(ctx, where, pod)}
}

// dryRunNamespace returns a namespace from the options, or else a namespace with the share. It prefers a namespace that
// enforces Pod Security.
func (s *state) dryRunNamespace() (string, bool) {
	unserved := func(name string) bool {
		_, exists := s.namespace(name)
		return !exists || s.leftOut(name) || slices.Contains(s.words("unservedNamespaces"), name)
	}
	have := slices.DeleteFunc(slices.Clone(s.Namespaces), unserved)
	if len(have) == 0 {
		have = slices.DeleteFunc(s.namespacesWithShare(), unserved)
	}
	if len(have) == 0 {
		return "", false
	}
	for _, name := range have {
		if protectsNode(s.level(name)) {
			return name, true
		}
	}
	return have[0], true
}

// notebook returns a labelled Pod with the required fields only.
func notebook(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "jupyter-user-check-", Namespace: namespace, Labels: map[string]string{user.Label: name},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "notebook", Image: "jupyter-user-check"}}},
	}
}

// restrictedNeedsIdentity is the reason of the denial that every user gets in a namespace that enforces restricted, if all
// notebooks have discovery at start.
var restrictedNeedsIdentity = string(denial.RestrictedNeedsIdentity("", "").Reason)

// judgeDenial judges a denial. Only the text of the API server's error names the webhook or the policy that denied the Pod.
func judgeDenial(where string, err error) Finding {
	message := denial.Cut(oneLine(err), 400)
	var status apierrors.APIStatus
	code := int32(0)
	if errors.As(err, &status) {
		code = status.Status().Code
	}
	everyUser := string(apierrors.ReasonForError(err)) == restrictedNeedsIdentity
	_, reason, policy := strings.Cut(message, ".jupyter-user.io' with binding")
	_, reason, denied := strings.Cut(reason, "denied request: ")
	switch {
	case strings.Contains(message, "failed calling webhook") && strings.Contains(message, ".jupyter-user.io"):
		return failed(where, "the webhook does not respond, so no notebook starts: %s", message)
	case strings.Contains(message, `.jupyter-user.io" denied the request`):
		return judgeOwnDenial(where, message, code, everyUser)
	case policy && denied && strings.HasPrefix(reason, "NotInjected:"):
		return failed(where, "a labelled Pod does not reach the webhook, and the policies deny it: %s", message)
	case policy && denied && (strings.HasPrefix(reason, "NoAccess:") || strings.HasPrefix(reason, "NamespaceUnguarded:")):
		return ok(where, "the webhook responds, and so do the policies after it: %s", message)
	case policy:
		return failed(where, "the policies deny what the webhook has made: %s", message)
	}
	return unknown(where, "something else has denied the Pod of the dry run: %s", message)
}

// verifierName is the name of the webhook entry that verifies the final Pod.
const verifierName = "verified-pods.jupyter-user.io"

// judgeOwnDenial judges a denial by a webhook entry of the chart. A code from 500 means that the webhook could not decide.
// Otherwise, a denial that every user would get (everyUser) is a fault. Any other denial by a mutating entry only shows that
// the webhook responds. A denial by the verifying entry means that the injected Pod was changed.
func judgeOwnDenial(where, message string, code int32, everyUser bool) Finding {
	if code >= 500 {
		return warning(where, "the webhook responds, but cannot decide now: %s", message)
	}
	if everyUser {
		return failed(where, "the webhook denies the notebook of every user here: %s", message)
	}
	if !strings.Contains(message, `admission webhook "`+verifierName+`" denied`) {
		return ok(where, "the webhook responds, here with a denial: %s", message)
	}
	return failed(where, "a labelled Pod is changed after the webhook: %s", message)
}

// judgeAdmitted verifies an admitted Pod, with the identity that the webhook has written in an annotation.
func (s *state) judgeAdmitted(ctx context.Context, where string, pod *corev1.Pod) Finding {
	if pod.Annotations[inject.UserAnnotation] != s.User {
		return failed(where, "a labelled Pod does not reach the webhook and is admitted without it, as the user that its "+
			"image names: see the checks webhooks and policies")
	}
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	raw, err := json.Marshal(pod)
	if err != nil {
		return unknown(where, "the Pod that was admitted cannot be read: %s", oneLine(err))
	}
	if s.config == nil {
		return unknown(where, "unknown: %s", oneLine(s.missing[configuration]))
	}
	var source webhook.Identities
	if id, err := webhook.IdentityOn(s.config, pod.Annotations); err == nil && id != nil {
		source = webhook.Fixed{Identity: *id}
	}
	d := webhook.New(s.config, source).Verify(ctx, webhook.Review{
		Pod: raw, Namespace: pod.Namespace, Restricted: s.level(pod.Namespace) == restricted,
	})
	drifted, otherGeneration := denial.Drifted("").Reason, denial.GenerationUnknown("", "").Reason
	var drift []string
	for _, denied := range d.Denials {
		if denied.Reason == drifted {
			drift = append(drift, denied.Field)
		} else {
			drift = append(drift, denied.String())
		}
	}
	switch {
	case len(drift) == 0:
		return ok(where, "a notebook of %s would be admitted, with all that it needs", s.User)
	case d.Denials[0].Reason == otherGeneration:
		return warning(where, "the webhook runs with another configuration than the ConfigMap has now: %s", awaitRollout)
	}
	return failed(where, "a notebook is admitted with fields that differ from what the webhook injects (or this program "+
		"is of another release): %s: look for another webhook that changes them", firstFew(drift))
}
