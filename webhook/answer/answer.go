// Package answer holds every sentence that a person can get from the webhook, each with its stable reason and its
// status code. A reason is the same word in the API server's status, in the log line, in the metric and in the audit
// annotation, so that one can be looked up by the other; sentences may be reworded, reasons may not.
package answer

import (
	"fmt"
	"net/http"
	"strings"
)

// Reason names a kind of refusal in one CamelCase word.
type Reason string

// Answer is one refusal: which kind, where in the pod, and one or two sentences that say what is wrong and what to do.
type Answer struct {
	// Code is the HTTP status: 400 malformed, 403 not allowed, 413 too large, 422 a pod that cannot be made right, 500
	// a fault of ours, 503 a source of identities that does not answer.
	Code   int32
	Reason Reason
	// Field of the pod in Kubernetes' notation, as in spec.containers[0].volumeMounts[2]; empty where it is about the
	// review as a whole.
	Field   string
	Message string
}

// String is the sentence with its field in front.
func (a Answer) String() string {
	if a.Field == "" {
		return a.Message
	}
	return a.Field + ": " + a.Message
}

// Most is how many refusals, and how many warnings, one pod is told of. A person's pod has a handful; one that is made to
// have thousands would fill logs and make megabytes of answer.
const Most = 50

// First are the answers that are told.
func First(answers []Answer) []Answer { return answers[:min(len(answers), Most)] }

// Join makes one text of several answers, in their order: a single one stands alone, more become a list.
func Join(answers []Answer) string {
	if len(answers) == 1 {
		return answers[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d things stand against it:", len(answers))
	for _, a := range First(answers) {
		b.WriteString("\n- ")
		b.WriteString(a.String())
	}
	if more := len(answers) - Most; more > 0 {
		fmt.Fprintf(&b, "\n- and %d more", more)
	}
	return b.String()
}

func malformed(reason Reason, field, format string, args ...any) Answer {
	return Answer{Code: http.StatusBadRequest, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}

func forbidden(reason Reason, field, format string, args ...any) Answer {
	return Answer{Code: http.StatusForbidden, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}

func unprocessable(reason Reason, field, format string, args ...any) Answer {
	return Answer{Code: http.StatusUnprocessableEntity, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}
