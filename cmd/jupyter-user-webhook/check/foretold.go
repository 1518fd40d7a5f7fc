package check

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
)

// What the webhook says in mode Warn begins so, as package answer has it. What it would warn of says nothing of what becomes of
// a Pod.
const (
	wouldBecome   = "would become a notebook of "
	wouldBeDenied = "would be denied: "
)

// warnModeWarnings are the warnings that a webhook in mode Warn gives. The policies' own, that nothing has been injected, are as
// they have to be.
func warnModeWarnings(warnings []string) []string {
	return slices.DeleteFunc(slices.Clone(warnings), func(warning string) bool {
		return !strings.HasPrefix(warning, wouldBecome) && !strings.HasPrefix(warning, wouldBeDenied)
	})
}

// judgeWarnMode judges what became of the Pod in mode Warn, by the configuration or by what the webhook says: it is left as it
// is, and its creator hears what would become of it.
func (s *state) judgeWarnMode(where string, pod *corev1.Pod, said []string, err error) Finding {
	restart := "kubectl -n " + systemNamespace + " rollout restart deployment " + webhookName
	switch told := denial.Cut(strings.Join(said, "; "), 400); {
	case s.mode() != config.ModeWarn:
		return failed(where, "the webhook is in mode Warn yet, and the ConfigMap says Enforce: %s", restart)
	case err != nil:
		return s.denialInWarnMode(where, err)
	case made(pod):
		return failed(where, "the webhook still makes notebooks, and the ConfigMap says mode: Warn: %s", restart)
	case len(said) == 0:
		return failed(where, "a labelled Pod does not come to the webhook, or nobody answers, which in mode Warn nobody notices: "+
			"see the checks webhooks, certificate and reachable")
	case strings.HasPrefix(said[0], wouldBecome) && len(said) > 1:
		return warning(where, "what becomes of a labelled Pod is not as the webhook makes it, which mode Enforce refuses: %s", told)
	default:
		return ok(where, "the webhook answers, and leaves the Pod as it is (mode Warn): %s", told)
	}
}

// made tells whether the webhook has made a notebook of it.
func made(pod *corev1.Pod) bool {
	_, is := pod.Annotations[inject.ConfigAnnotation]
	return is
}

// refusedInWarn: nothing of ours denies.
func (s *state) denialInWarnMode(where string, err error) Finding {
	f := judgeDenial(where, err)
	if f.Status != Unknown {
		return failed(where, "a labelled Pod is refused, and the webhook's configuration says mode: Warn: see the checks webhooks "+
			"and policies: %s", denial.Cut(oneLine(err), 400))
	}
	return f
}
