package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Pull secrets: the credentials with which the kubelet pulls our image.
//
// Adds the names of init.imagePullSecrets to the Pod's imagePullSecrets if they are missing. The Pod's own names stay, in their
// order.

type pullSecretsPiece struct{ names []string }

func (in *planning) planPullSecrets() pullSecretsPiece {
	return pullSecretsPiece{in.planner.config.Init.ImagePullSecrets}
}

func (p pullSecretsPiece) reconcile(document *pod.Pod, c *changes) {
	have := document.Spec.ImagePullSecrets
	for _, name := range p.names {
		if !slices.Contains(have, pod.LocalReference{Name: name}) {
			c.appendTo(thePods, pod.SpecPath.Child("imagePullSecrets"), len(have), &pod.LocalReference{Name: name})
		}
	}
}
