package denial

import (
	"fmt"
	"net/http"
)

// The denials of this file are about reviews and Pods that cannot be read, that have too long lists, paths or names, or that
// need too many changes. Internal is about a fault of the webhook.

// NotAPodReview denies a review of an object that is not a Pod.
func NotAPodReview(kind string) Denial {
	if kind == "" {
		kind = "an empty review"
	}
	return malformed("NotAPodReview", "", "this path reviews Pods, not %s: the webhook configuration that sent it must name only "+
		"the resource pods", Printable(kind))
}

// NotAReview denies a request that is not an AdmissionReview.
func NotAReview(why string) Denial {
	return malformed("NotAReview", "", "this is not an AdmissionReview as an API server sends it: %s", why)
}

// PodUnreadable denies a document that cannot be read as a Pod.
func PodUnreadable(err error) Denial {
	return malformed("PodUnreadable", "", "this is not a Pod that can be read: %s", oneLine(err))
}

// TooLarge denies a request body that is larger than limit bytes.
func TooLarge(limit int64) Denial {
	return Denial{Code: http.StatusRequestEntityTooLarge, Reason: "TooLarge",
		Message: fmt.Sprintf("the review is larger than %d bytes: a Pod that large, with the defaults that the API server adds to "+
			"each container, cannot become a notebook; leave out containers, variables or other long lists", limit)}
}

// TooManyChanges denies a Pod whose patch would have too many operations, such as a Pod with thousands of HOME variables.
func TooManyChanges(operations, limit int) Denial {
	return unprocessable("TooManyChanges", "", "the pod needs %d changes, and the webhook makes at most %d: look for a variable "+
		"or mount that is repeated many times", operations, limit)
}

// TooMany denies a list of the Pod that has more than limit elements. The parameter "have" is the number of elements.
func TooMany(field string, have, limit int) Denial {
	return unprocessable("TooMany", field, "there are %d, and a notebook has at most %d: leave some out", have, limit)
}

// TooManyKeys denies a Pod with a map that has more than limit keys. The parameter "have" is the number of keys.
func TooManyKeys(have, limit int) Denial {
	return unprocessable("TooMany", "", "a map of the pod, such as its labels or annotations, has %d keys, and a map of a "+
		"notebook has at most %d: leave some out", have, limit)
}

// TooManyInAll denies containers whose lists have more than limit elements in total. field is the list of these
// containers, such as spec.containers.
func TooManyInAll(field string, limit int) Denial {
	return unprocessable("TooMany", field, "the mounts, variables, arguments and other lists of these containers have more than "+
		"%d elements in total: leave some out", limit)
}

// PathTooLong denies a path that is longer than Linux allows.
func PathTooLong(field string, have, limit int) Denial {
	return unprocessable("PathTooLong", field, "a path has %d bytes, of at most %d: shorten it", have, limit)
}

// NameTooLong denies a name of a container or of an image that Kubernetes or the container runtime would reject as too long.
func NameTooLong(field string, have, limit int) Denial {
	return unprocessable("NameTooLong", field, "the name has %d bytes, of at most %d: shorten it", have, limit)
}

// Internal denies a Pod after a fault of the webhook. The cause is not in the message but in the log, with the uid of the
// review.
func Internal(uid string) Denial {
	what := "it"
	if uid != "" {
		what = "review " + Printable(uid)
	}
	return Denial{Code: http.StatusInternalServerError, Reason: "InternalError",
		Message: "the webhook failed to review this pod, and the pod is not the cause: ask the admin to look for " + what +
			" in the webhook's log"}
}
