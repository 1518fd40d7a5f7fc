// Package denial has the sentences that a user can get from the webhook: denials, warnings and the texts of inject
// --explain. A denial also has a reason and a status code. The reason is the same word in the API server's status, the
// log line, the metric and the audit annotation, so that a reader of one of these can find the others. Sentences can be
// reworded, reasons must not change.
package denial

import (
	"fmt"
	"net/http"
	"strings"
)

// Reason is the stable CamelCase name of one kind of denial.
type Reason string

// Denial has a reason, the field of the Pod that is wrong, and one or two sentences that say what is wrong and what to do.
type Denial struct {
	// Code is the HTTP status: 400 malformed, 403 not allowed, 413 too large, 422 a Pod that cannot become a notebook, 500 a
	// fault of the webhook, 503 if a later attempt can succeed.
	Code   int32
	Reason Reason
	// Field is the field of the Pod in Kubernetes' notation, as in spec.containers[0].volumeMounts[2]; empty if the denial
	// is not about one field.
	Field   string
	Message string
}

// String returns the message, preceded by the field if there is one.
func (d Denial) String() string {
	if d.Field == "" {
		return d.Message
	}
	return d.Field + ": " + d.Message
}

// maxShown is the maximum number of denials, and of warnings, in one response. A user's Pod has a few. An attacker's Pod
// can have thousands, which would fill logs and make responses of megabytes.
const maxShown = 50

// FirstDenials returns the first maxShown denials.
func FirstDenials(denials []Denial) []Denial { return denials[:min(len(denials), maxShown)] }

// Join returns denials as one text. Several denials become a list, which has at most the first maxShown denials and the
// number of the others.
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

// maxMessage is the length in bytes to which a message, or a fault in the log, is cut. One Pod can have a thousand denials,
// each with its own long text.
const maxMessage = 4096

// Shortened returns the text of a fault, cut to the length of the longest message.
func Shortened(err error) string { return Cut(err.Error(), maxMessage) }

func sentence(format string, args ...any) string {
	return Cut(fmt.Sprintf(format, args...), maxMessage)
}

func malformed(reason Reason, field, format string, args ...any) Denial {
	return Denial{Code: http.StatusBadRequest, Reason: reason, Field: field, Message: sentence(format, args...)}
}

func forbidden(reason Reason, field, format string, args ...any) Denial {
	return Denial{Code: http.StatusForbidden, Reason: reason, Field: field, Message: sentence(format, args...)}
}

func unprocessable(reason Reason, field, format string, args ...any) Denial {
	return Denial{Code: http.StatusUnprocessableEntity, Reason: reason, Field: field, Message: sentence(format, args...)}
}

func unavailable(reason Reason, field, format string, args ...any) Denial {
	return Denial{Code: http.StatusServiceUnavailable, Reason: reason, Field: field, Message: sentence(format, args...)}
}
