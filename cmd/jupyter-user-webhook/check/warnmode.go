package check

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
)

// In Warn mode, the webhook returns its decision about a Pod as a warning that begins with one of these texts (package
// denial).
const (
	wouldBecome   = "would become a notebook of "
	wouldBeDenied = "would be denied: "
)

// warnModeWarnings returns the warnings that have a decision of the webhook in Warn mode. It omits other warnings, such as
// those of the policies: they are expected, because the webhook has not injected the Pod.
func warnModeWarnings(warnings []string) []string {
	return slices.DeleteFunc(slices.Clone(warnings), func(warning string) bool {
		return !strings.HasPrefix(warning, wouldBecome) && !strings.HasPrefix(warning, wouldBeDenied)
	})
}

// awaitRollout is the advice if the webhook runs with another configuration than the ConfigMap has. During a rollout a restart
// does not help: if the new replicas do not start, those of the restart do not start either.
const awaitRollout = "a rollout is not finished (see the runbook: A rollout does not finish). If there is none, somebody " +
	"changed the ConfigMap by hand: first set it right as that section says, then kubectl -n " + systemNamespace +
	" rollout restart deployment " + webhookName

// judgeWarnMode judges the result of the dry run if the webhook or its configuration is in Warn mode. Both must be in that
// mode, the Pod must be unchanged, and a warning must have the decision.
func (s *state) judgeWarnMode(where string, pod *corev1.Pod, warnings []string, err error) Finding {
	// In Warn mode nothing makes the Pod a notebook, so a restricted namespace denies it.
	byLevel := err != nil && len(warnings) > 0 && strings.Contains(err.Error(), "violates PodSecurity")
	switch text := denial.Cut(strings.Join(warnings, "; "), 400); {
	case s.mode() != config.ModeWarn:
		return failed(where, "the webhook is still in mode Warn, and the ConfigMap says Enforce: %s", awaitRollout)
	case strings.HasPrefix(text, wouldBeDenied+restrictedNeedsIdentity) && (err == nil || byLevel):
		return warning(where, "mode Enforce denies the notebook of every user here: %s", text)
	case byLevel:
		return ok(where, "the webhook responds. The namespace's Pod Security level denies the Pod, which mode Enforce would "+
			"check as a notebook: %s", text)
	case err != nil:
		return s.denialInWarnMode(where, err)
	case isInjected(pod.Annotations):
		return failed(where, "the webhook still injects Pods, and the ConfigMap says mode: Warn: %s", awaitRollout)
	case len(warnings) == 0:
		return failed(where, "a labelled Pod does not reach the webhook, or no replica responds, and in mode Warn no user "+
			"notices it: see the checks webhooks, certificate and reachable")
	case strings.HasPrefix(warnings[0], wouldBecome) && len(warnings) > 1:
		return warning(where, "a labelled Pod is changed after the webhook, which mode Enforce denies: %s", text)
	default:
		return ok(where, "the webhook responds, and leaves the Pod as it is (mode Warn): %s", text)
	}
}

// isInjected reports whether a Pod with these annotations was injected. Anyone who creates a Pod can write them.
func isInjected(annotations map[string]string) bool {
	_, is := annotations[inject.ConfigAnnotation]
	return is
}

// denialInWarnMode judges a denial in Warn mode, in which neither the webhook nor its policies may deny.
func (s *state) denialInWarnMode(where string, err error) Finding {
	f := judgeDenial(where, err)
	if f.Status != Unknown {
		return failed(where, "a labelled Pod is denied, and the webhook's configuration says mode: Warn: see the checks webhooks "+
			"and policies: %s", denial.Cut(oneLine(err), 400))
	}
	return f
}
