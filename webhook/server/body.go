package server

import (
	"bytes"
	"errors"
	"net/http"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// maxBody is the maximum size of a review, in bytes. An API server accepts requests of up to 3 MiB, and the review around
// the object has less than 1 MiB.
const maxBody = 4 << 20

// readBody reads the whole body, and returns a denial if it cannot be a review. It returns an error if the body did not
// arrive completely, for example because the server's time limit for reading has passed.
//
// The content type must be JSON, because API servers send reviews only as JSON.
func readBody(w http.ResponseWriter, r *http.Request, body *bytes.Buffer) (denied *denial.Denial, err error) {
	deny := func(d denial.Denial) (*denial.Denial, error) { return &d, nil }
	_, err = body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case err != nil:
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return deny(denial.TooLarge(maxBody))
		}
		return nil, err
	case body.Len() == 0:
		return deny(denial.NotAReview("the body is empty"))
	case r.Header.Get("Content-Type") != "application/json":
		return deny(denial.NotAReview("its content type is not application/json"))
	case !bytes.HasPrefix(bytes.TrimLeft(body.Bytes(), " \t\r\n"), []byte("{")):
		return deny(denial.NotAReview("the body is not a JSON object"))
	}
	return nil, nil
}
