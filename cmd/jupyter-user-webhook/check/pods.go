package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// podFacts is what the checks need of a Pod.
type podFacts struct {
	namespace, name     string
	created             time.Time
	labels, annotations map[string]string
	// account is the name of the ServiceAccount, and claims are the names of the PersistentVolumeClaims.
	account string
	claims  []string
	// ended reports whether all containers of the Pod have ended for ever.
	ended bool
}

// readPods reads all Pods of the cluster, a page at a time, and keeps what the checks need.
func (s *state) readPods(ctx context.Context) error {
	for next := ""; ; {
		page := &corev1.PodList{}
		if err := s.cluster.client.List(ctx, page, client.Limit(500), client.Continue(next)); err != nil {
			return err
		}
		for i := range page.Items {
			s.pods = append(s.pods, factsOf(&page.Items[i]))
		}
		if next = page.Continue; next == "" {
			return nil
		}
	}
}

func factsOf(pod *corev1.Pod) podFacts {
	facts := podFacts{
		namespace: pod.Namespace, name: pod.Name, created: pod.CreationTimestamp.Time,
		labels: pod.Labels, annotations: pod.Annotations, account: pod.Spec.ServiceAccountName,
		ended: pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed,
	}
	for _, volume := range pod.Spec.Volumes {
		if claim := volume.PersistentVolumeClaim; claim != nil {
			facts.claims = append(facts.claims, claim.ClaimName)
		}
	}
	return facts
}

// sharePods warns of Pods that have a claim of the share or of share.directories, and are neither notebooks nor run by a
// ServiceAccount with the verb run-as on that claim. The policies check a Pod only when it is created. So a Pod that is older
// than the policies does not count as a notebook, whatever its labels and annotations are. Without the policy "share", in Warn
// mode, and in a namespace that onlyNamespaces leaves out, nothing is checked, so no Pod counts as a notebook. After a
// later change to Enforce mode, sharePods does not report a Pod of that time whose label and annotations were written by hand
// (runbook, "The first days: mode Warn"). sharePods does not see other ways to the share than a claim.
func sharePods(_ context.Context, s *state) []Finding {
	grants := s.grants()
	guarded, isGuarded := s.guardedSince()
	var with []podFacts
	for _, pod := range s.pods {
		isNotebook := isInjected(pod.annotations) && user.Claimed(pod.labels, pod.annotations, s.config.User) &&
			isGuarded && !pod.created.Before(guarded) && s.mode() != config.ModeWarn && !s.leftOut(pod.namespace)
		if pod.ended || isNotebook {
			continue
		}
		if slices.ContainsFunc(pod.claims, func(claim string) bool {
			return slices.Contains(s.words("claims"), claim) && !mayHave(grants, pod, claim)
		}) {
			with = append(with, pod)
		}
	}
	if len(with) == 0 {
		return []Finding{ok("", "no Pod has a claim of the share, except notebooks and programs that may (run-as on shares)")}
	}
	return []Finding{warning("Pods "+first(maxNewest, newestFirst(with)), "have a claim of the share, and no policy has checked "+
		"them as notebooks: they can see all that is on that claim. Right for a Pod of an admin, or a notebook from before mode "+
		"Warn: delete the others")}
}

// maxNewest is the maximum number of Pods that sharePods names, because a longer text would be cut at maxPrinted bytes.
const maxNewest = 15

// newestFirst returns the names of Pods with the times at which they were created, the newest first. After a change from mode
// Warn to Enforce, the list begins with Pods of mode Warn: sharePods does not list the notebooks that were created later.
func newestFirst(pods []podFacts) []string {
	slices.SortFunc(pods, func(a, b podFacts) int {
		return cmp.Or(b.created.Compare(a.created), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	names := make([]string, len(pods))
	for i, pod := range pods {
		names[i] = fmt.Sprintf("%s/%s (%s)", pod.namespace, pod.name, pod.created.UTC().Format(time.RFC3339))
	}
	return names
}

// guardedSince returns the time since which the policy "share" is in effect; ok is false if it is not installed.
func (s *state) guardedSince() (since time.Time, ok bool) {
	for _, binding := range s.installed[bindings].Items {
		if binding.GetName() == "share.jupyter-user.io" {
			return binding.GetCreationTimestamp().Time, true
		}
	}
	return time.Time{}, false
}

// mayHave reports whether a grant gives the ServiceAccount of a Pod the verb run-as on a claim.
func mayHave(grants []grant, pod podFacts, claim string) bool {
	return slices.ContainsFunc(grants, func(g grant) bool {
		namespace, applies := g.runsIn()
		if !applies || g.verb != runAs || g.resource != shares || !g.covers(claim) {
			return false
		}
		_, account, isAccount := serviceAccountOf(g.subject)
		return (namespace == "" || namespace == pod.namespace) && (!isAccount || account == pod.account)
	})
}
