package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
)

// maxBody in bytes. An API server takes requests of up to 3 MiB and sends the one object that is created; a review
// wraps it in less than 1 MiB.
const maxBody = 4 << 20

// bounded reads the whole body before anything else is done, and refuses what can be no review. How long a body may take
// is the server's to say.
//
// controller-runtime's decoder would take YAML and protobuf too. No API server sends them, and a few MiB of YAML cost
// hundreds of MiB of memory (1 MiB of "- #" lines: 231 MiB), so a body has to begin as a JSON object does.
func (h *handler) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			h.refuse(w, r, uidIn(body), answer.TooLarge(maxBody))
		case err != nil:
			// The client has gone, or stalled: nobody reads an answer.
			h.log.WarnContext(r.Context(), "the body did not arrive whole", "from", r.RemoteAddr, "err", err.Error())
			http.Error(w, "the body did not arrive whole", http.StatusRequestTimeout)
		case len(body) == 0:
			h.refuse(w, r, "", answer.NotAReview("the body is empty"))
		case r.Header.Get("Content-Type") != "application/json":
			h.refuse(w, r, "", answer.NotAReview("its content type is not application/json"))
		case !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")):
			h.refuse(w, r, "", answer.NotAReview("the body is no JSON object"))
		default:
			defer h.metrics.took(h.kind, time.Now())
			r.Body = io.NopCloser(bytes.NewReader(body))
			w.Header().Set("Content-Type", "application/json")
			next.ServeHTTP(w, r)
		}
	})
}

// refuse answers, in protocol, what has not become an admission; it is logged and counted as one.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, uid types.UID, a answer.Answer) {
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{UID: uid}}
	d := refused(Decision{}, a)
	h.record(r.Context(), req, d, 0)

	resp := h.answer(d)
	resp.UID = uid
	review := admissionv1.AdmissionReview{Response: &resp.AdmissionResponse}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	w.Header().Set("Content-Type", "application/json")
	// An error here is a client that has gone.
	_ = json.NewEncoder(w).Encode(review)
}

// uidIn finds the uid in the first part of a review that is too large to be read. An API server takes an answer for one
// only with the uid of its question, and writes that before anything that a person has written.
func uidIn(part []byte) types.UID {
	decoder := json.NewDecoder(bytes.NewReader(part))
	const first = 12 // tokens: {, kind and apiVersion with their values, request, {, uid and its value
	last := json.Token(nil)
	for range first {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		if uid, ok := token.(string); ok && last == "uid" {
			return types.UID(uid)
		}
		last = token
	}
	return ""
}
