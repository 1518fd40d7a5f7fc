// Package denial holds every sentence that a person can get from the webhook, each with its stable reason and its
// status code. A reason is the same word in the API server's status, in the log line, in the metric and in the audit
// annotation, so that one can be looked up by the other; sentences may be reworded, reasons may not.
package denial

import (
	"fmt"
	"net/http"
	"strings"
)

// Reason names a kind of refusal in one CamelCase word.
type Reason string

// Denial is one refusal: which kind, where in the pod, and one or two sentences that say what is wrong and what to do.
type Denial struct {
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
func (a Denial) String() string {
	if a.Field == "" {
		return a.Message
	}
	return a.Field + ": " + a.Message
}

// MostShown is how many refusals, and how many warnings, one pod is told of. A person's pod has a handful; one that is made to
// have thousands would fill logs and make megabytes of answer.
const MostShown = 50

// FirstDenials are the answers that are told.
func FirstDenials(answers []Denial) []Denial { return answers[:min(len(answers), MostShown)] }

// Join makes one text of several answers, in their order: a single one stands alone, more become a list.
func Join(answers []Denial) string {
	if len(answers) == 1 {
		return answers[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d things stand against it:", len(answers))
	for _, a := range FirstDenials(answers) {
		b.WriteString("\n- ")
		b.WriteString(a.String())
	}
	if more := len(answers) - MostShown; more > 0 {
		fmt.Fprintf(&b, "\n- and %d more", more)
	}
	return b.String()
}

func malformed(reason Reason, field, format string, args ...any) Denial {
	return Denial{Code: http.StatusBadRequest, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}

func forbidden(reason Reason, field, format string, args ...any) Denial {
	return Denial{Code: http.StatusForbidden, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}

func unprocessable(reason Reason, field, format string, args ...any) Denial {
	return Denial{Code: http.StatusUnprocessableEntity, Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}
