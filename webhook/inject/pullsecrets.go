package inject

import "slices"

// Pull secrets: with what the kubelet fetches our image.
//
// Adds the configured names to imagePullSecrets where they are missing. The pod's own are kept, in their order.

type pullSecretsPiece struct{ names []string }

func (in *planning) planPullSecrets() pullSecretsPiece {
	return pullSecretsPiece{in.config.Init.ImagePullSecrets}
}

func (p pullSecretsPiece) reconcile(pod *Pod, c *changes) {
	have := pod.Spec.ImagePullSecrets
	for _, name := range p.names {
		if !slices.Contains(have, LocalReference{name}) {
			c.appendTo(theirs, spec.child("imagePullSecrets"), len(have), &LocalReference{name})
		}
	}
}
