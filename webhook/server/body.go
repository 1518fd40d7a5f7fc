package server

import (
	"bytes"
	"errors"
	"net/http"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// maxBody in bytes. An API server takes requests of up to 3 MiB and sends the one object that is created; a review
// wraps it in less than 1 MiB.
const maxBody = 4 << 20

// readBody reads the whole body before anything else is done, and refuses what can be no review; an error is a body that did not
// arrive. How long it may take is the server's to say.
//
// An API server could send YAML and protobuf too, and never does.
func readBody(w http.ResponseWriter, r *http.Request, body *bytes.Buffer) (refusal *denial.Denial, err error) {
	refuse := func(a denial.Denial) (*denial.Denial, error) { return &a, nil }
	_, err = body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case err != nil:
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return refuse(denial.TooLarge(maxBody))
		}
		return nil, err
	case body.Len() == 0:
		return refuse(denial.NotAReview("the body is empty"))
	case r.Header.Get("Content-Type") != "application/json":
		return refuse(denial.NotAReview("its content type is not application/json"))
	case !bytes.HasPrefix(bytes.TrimLeft(body.Bytes(), " \t\r\n"), []byte("{")):
		return refuse(denial.NotAReview("the body is no JSON object"))
	}
	return nil, nil
}
