package denial

import (
	"fmt"
	"net/http"
)

// These denials are those of the verifier.

// Drifted denies a Pod in which a field of ours is not as planned.
func Drifted(field string) Denial {
	return forbidden("Drifted", field, "this is not what the webhook put there: leave it to the webhook, or ask the admin which "+
		"other webhook changes it")
}

// NotInjected denies a Pod that has parts of a notebook and lacks what the webhook injects.
func NotInjected(lacks string) Denial {
	return forbidden("NotInjected", "", "the pod has something of a notebook and lacks %s: label it jupyter-user and leave the "+
		"rest to the webhook", lacks)
}

// Unclaimed denies a Pod that is not claimed and has something that only a notebook can have.
func Unclaimed(mark, why string) Denial {
	return forbidden("NotInjected", "", "the pod has %s, and is no user's notebook: %s; remove the one, or label the pod "+
		"jupyter-user and leave the rest to the webhook", Printable(mark), why)
}

// IdentityDiffers denies a Pod whose identity is not the one that its user has now.
func IdentityDiffers(annotation, name string) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: "IdentityDiffers", Field: AnnotationField(annotation),
		Message: fmt.Sprintf("the identity of %s has changed between the two reviews of this pod: try again, and if it stays so ask "+
			"the admin which other webhook writes this annotation", name)}
}

// GenerationUnknown denies a Pod that was injected under a configuration which no reachable replica has.
func GenerationUnknown(annotation, generation string) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: "GenerationUnknown", Field: AnnotationField(annotation),
		Message: fmt.Sprintf("no replica of the webhook that could be asked has made a pod by configuration %s: one is probably "+
			"being replaced by another, so try again; if it stays so ask the admin to look at the webhook's log",
			Printable(generation))}
}
