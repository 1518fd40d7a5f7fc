package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
)

const (
	// maxBody in bytes. An API server takes requests of up to 3 MiB and sends the one object that is created; a review
	// wraps it in less than 1 MiB.
	maxBody = 4 << 20
	// bodyTime is how long a body may take to arrive. An API server on the same network sends it at once.
	bodyTime = 10 * time.Second
)

// bounded reads the whole body before anything else is done, within its limits of size and time.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not every ResponseWriter can (a test's recorder cannot): the server's own ReadTimeout holds all the same.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			refuse(w, answer.TooLarge(maxBody))
			return
		case err != nil:
			// The client has gone, or stalled: nobody reads an answer.
			http.Error(w, "the body did not arrive whole", http.StatusRequestTimeout)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if len(body) == 0 {
			r.Body = http.NoBody
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers in protocol where there is no review to answer.
func refuse(w http.ResponseWriter, a answer.Answer) {
	resp := deny([]answer.Answer{a})
	review := admissionv1.AdmissionReview{Response: &resp.AdmissionResponse}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	w.Header().Set("Content-Type", "application/json")
	// An error here is a client that has gone.
	_ = json.NewEncoder(w).Encode(review)
}
