// Package denial has every sentence that a user can get from the webhook, each with its reason and its status code. A
// reason is the same word in the API server's status, the log line, the metric and the audit annotation, so that each can
// be found from the others. Sentences may be reworded, reasons may not.
package denial

import (
	"fmt"
	"net/http"
	"strings"
)

// Reason is the stable CamelCase name of one kind of denial.
type Reason string

// Denial has a reason, the field of the Pod, and one or two sentences that say what is wrong and what to do.
type Denial struct {
	// Code is the HTTP status: 400 malformed, 403 not allowed, 413 too large, 422 a Pod that cannot become a notebook, 500 a
	// fault of the webhook, 503 a source of identities does not respond.
	Code   int32
	Reason Reason
	// Field is the field of the Pod in Kubernetes' notation, as in spec.containers[0].volumeMounts[2]; empty if the denial
	// is about the whole review.
	Field   string
	Message string
}

// String returns the field and the message.
func (a Denial) String() string {
	if a.Field == "" {
		return a.Message
	}
	return a.Field + ": " + a.Message
}

// maxShown is the most denials, and the most warnings, that one response has. A user's Pod has a few. An attacker's Pod with
// thousands would fill logs and make responses of megabytes.
const maxShown = 50

// FirstDenials returns the denials that are shown.
func FirstDenials(denials []Denial) []Denial { return denials[:min(len(denials), maxShown)] }

// Join returns several denials as one text, in their order: one denial is the text itself, more become a list.
func Join(denials []Denial) string {
	if len(denials) == 1 {
		return denials[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "there are %d problems:", len(denials))
	for _, d := range FirstDenials(denials) {
		b.WriteString("\n- ")
		b.WriteString(d.String())
	}
	if more := len(denials) - maxShown; more > 0 {
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
