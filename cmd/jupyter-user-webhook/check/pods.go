package check

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// podFacts is what the checks need of a Pod.
type podFacts struct {
	namespace, name     string
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
		namespace: pod.Namespace, name: pod.Name, labels: pod.Labels, annotations: pod.Annotations,
		account: pod.Spec.ServiceAccountName,
		ended:   pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed,
	}
	for _, volume := range pod.Spec.Volumes {
		if claim := volume.PersistentVolumeClaim; claim != nil {
			facts.claims = append(facts.claims, claim.ClaimName)
		}
	}
	return facts
}

// sharePods warns of Pods that have a claim of the share or of share.directories, and are neither notebooks nor run by a
// ServiceAccount with the verb run-as on that claim. The policies check a Pod only when it is created. So a Pod from before
// the policies keeps the share, or gets it when the claim is made.
func sharePods(_ context.Context, s *state) []Finding {
	grants := s.grants()
	var with []string
	for _, pod := range s.pods {
		_, injected := pod.annotations[inject.ConfigAnnotation]
		if pod.ended || injected && user.Claimed(pod.labels, pod.annotations, s.config.User) {
			continue
		}
		if slices.ContainsFunc(pod.claims, func(claim string) bool {
			return slices.Contains(s.words("claims"), claim) && !mayHave(grants, pod, claim)
		}) {
			with = append(with, pod.namespace+"/"+pod.name)
		}
	}
	if len(with) == 0 {
		return []Finding{ok("", "no Pod has a claim of the share, except notebooks and programs that may (run-as on shares)")}
	}
	slices.Sort(with)
	return []Finding{warning("Pods "+firstFew(with), "have a claim of the share and are no notebooks, so they see every home: "+
		"right for a Pod that an admin has made. The policies check new Pods only: delete Pods that are older")}
}

// mayHave reports whether a grant gives the ServiceAccount of a Pod the verb run-as on a claim.
func mayHave(grants []grant, pod podFacts, claim string) bool {
	return slices.ContainsFunc(grants, func(g grant) bool {
		if g.verb != runAs || g.resource != shares || !g.covers(claim) || g.namespace != "" && g.namespace != pod.namespace {
			return false
		}
		if namespace, name, is := serviceAccountOf(g.subject); is {
			return namespace == pod.namespace && name == pod.account
		}
		namespace, is := accountGroup(g.subject)
		return is && (namespace == "" || namespace == pod.namespace)
	})
}
