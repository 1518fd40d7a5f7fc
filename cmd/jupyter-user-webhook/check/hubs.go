package check

import (
	"context"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// hubPods warns of Pods that have a hub's annotation, are no notebooks and do not opt out. Schedulers and workers of Dask
// need not be notebooks. A hub's server for a user must be a notebook: if the label "component" of the server has a value
// that user.hubComponents lacks, the server runs without the user's home.
func hubPods(_ context.Context, s *state) []Finding {
	var unclaimed []string
	for _, pod := range s.pods {
		_, hub := pod.annotations[user.HubAnnotation]
		optedOut := pod.annotations[user.InjectAnnotation] == user.OptOut
		if hub && !optedOut && !user.Claimed(pod.labels, pod.annotations, s.config.User) && !s.leftOut(pod.namespace) {
			unclaimed = append(unclaimed, pod.namespace+"/"+pod.name)
		}
	}
	if len(unclaimed) == 0 {
		return []Finding{ok("", "every Pod with a hub's annotation is a notebook, or opts out")}
	}
	slices.Sort(unclaimed)
	return []Finding{warning("Pods "+firstFew(unclaimed), "have the annotation %s and are no notebooks, which is right for "+
		"Dask's schedulers and workers. If they are users' servers, add the value of their label component to "+
		"config.user.hubComponents, or label "+
		"them %s", user.HubAnnotation, user.Label)}
}
