package webhook

import (
	"bytes"
	"errors"
	"net/http"

	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
)

// maxBody in bytes. An API server takes requests of up to 3 MiB and sends the one object that is created; a review
// wraps it in less than 1 MiB.
const maxBody = 4 << 20

// receive reads the whole body before anything else is done, and refuses what can be no review; an error is a body that did not
// arrive. How long it may take is the server's to say.
//
// An API server could send YAML and protobuf too, and never does.
func receive(w http.ResponseWriter, r *http.Request, body *bytes.Buffer) (refusal *answer.Answer, err error) {
	refuse := func(a answer.Answer) (*answer.Answer, error) { return &a, nil }
	_, err = body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuse(answer.TooLarge(maxBody))
	case err != nil:
		return nil, err
	case body.Len() == 0:
		return refuse(answer.NotAReview("the body is empty"))
	case r.Header.Get("Content-Type") != "application/json":
		return refuse(answer.NotAReview("its content type is not application/json"))
	case !bytes.HasPrefix(bytes.TrimLeft(body.Bytes(), " \t\r\n"), []byte("{")):
		return refuse(answer.NotAReview("the body is no JSON object"))
	}
	return nil, nil
}
