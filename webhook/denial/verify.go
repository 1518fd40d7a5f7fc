package denial

// Only the verifier (package webhook, Verify) returns the denials of this file.

// Drifted denies a Pod in which a field that the webhook enforces is not as planned.
func Drifted(field string) Denial {
	return forbidden("Drifted", field, "this is not what the webhook wrote: leave the field to the webhook, or ask the admin "+
		"which other webhook changes it")
}

// NotInjected denies a Pod that is claimed as a user's notebook, but was not injected. The text in lacks says what is
// missing in the Pod.
func NotInjected(lacks string) Denial {
	return forbidden("NotInjected", "", "the pod has parts of a notebook but lacks %s: label it jupyter-user and leave the "+
		"rest to the webhook", lacks)
}

// Unclaimed denies a Pod that is not claimed, but has a part that only a notebook can have. The text in mark describes that
// part, and the text in why says why the Pod is not claimed.
func Unclaimed(mark, why string) Denial {
	return forbidden("NotInjected", "", "the pod has %s, but is not a user's notebook: %s; remove that part, or label the "+
		"pod jupyter-user and leave the rest to the webhook", Printable(mark), why)
}

// IdentityDiffers denies a Pod whose user no longer has the identity with which the Pod was injected.
func IdentityDiffers(annotation, name string) Denial {
	return unavailable("IdentityDiffers", AnnotationField(annotation), "the identity of %s has changed between the two reviews "+
		"of this pod: try again, and if that does not help ask the admin which other webhook writes this annotation", name)
}

// GenerationUnknown denies a Pod that was injected under a configuration which no reachable replica has.
func GenerationUnknown(annotation, generation string) Denial {
	return unavailable("GenerationUnknown", AnnotationField(annotation), "no replica of the webhook that could be asked knows "+
		"configuration %s, under which this pod was changed: a rolling update is probably under way, so try again; if that does "+
		"not help ask the admin to look at the webhook's log", Printable(generation))
}
