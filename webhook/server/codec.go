package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// This file replaces controller-runtime's admission.Webhook, which reads a review five times and decodes fields that
// this webhook does not need. With controller-runtime, a webhook that does nothing takes longer for
// a review than this webhook with all its work. A fuzz test compares the responses with those of admission.Webhook.
//
// Reviews are decoded by github.com/go-json-experiment/json, the mirror of Go 1.27's encoding/json/v2, for speed and above
// all for safety: the API server and the webhook must read a document in the same way.
//
//   - encoding/json reads "Spec" as "spec", and uses the last of two fields with the same name. That is too lax at a
//     security boundary.
//   - sigs.k8s.io/json, which the API server uses, reads only "spec". But it accepts duplicate names in fields that it does
//     not decode, and replaces invalid UTF-8 by U+FFFD. It also reads everything twice: to check the syntax, and to decode.
//   - go-json-experiment/json reads only "spec". It returns an error for a duplicate name and for invalid UTF-8, also in
//     fields that it does not decode. Reviews of an API server have neither, because the API server has decoded the object
//     and encoded it again.

// review holds the fields of an AdmissionReview that the webhook needs.
type review struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Request    request `json:"request"`
}

type request struct {
	UID         types.UID               `json:"uid"`
	Kind        metav1.GroupVersionKind `json:"kind"`
	SubResource string                  `json:"subResource"`
	Name        string                  `json:"name"`
	Namespace   string                  `json:"namespace"`
	Operation   admissionv1.Operation   `json:"operation"`
	UserInfo    userInfo                `json:"userInfo"`
	Object      object                  `json:"object"`
	DryRun      bool                    `json:"dryRun"`
}

type userInfo struct {
	Username string `json:"username"`
}

// object is the object of a review: the decoded Pod, and its offsets in the body, so that its bytes are not copied.
type object struct {
	// from and to are offsets in the body, in bytes.
	from, to int64
	// skipped reports whether the object must not be decoded; then pod is nil.
	skipped bool
	pod     *pod.Pod
	// tooLong is the error if the object was skipped because a list or map is too long; otherwise nil.
	tooLong *pod.TooLongError
}

// UnmarshalJSONFrom decodes the Pod. If o.skipped is set, or if the value is not a JSON object, it skips the value, which
// must be valid JSON.
func (o *object) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if o.skipped || d.PeekKind() != jsontext.KindBeginObject {
		value, err := d.ReadValue()
		o.to = d.InputOffset()
		o.from = o.to - int64(len(value))
		return err
	}
	o.pod, o.from = &pod.Pod{}, d.InputOffset()
	err := json.UnmarshalDecode(d, o.pod)
	o.to = d.InputOffset()
	return err
}

// raw returns the bytes of the object. o.from can be the offset of the colon or white space before the object, so raw trims
// these characters.
func (o object) raw(body []byte) []byte { return bytes.TrimLeft(body[o.from:o.to], ": \t\r\n") }

// decode decodes a review and its Pod. It returns a denial if the body is not valid JSON, has a duplicate name, or has a
// wrong type outside the Pod. If a field of the Pod has a wrong type, or if a list or map is too long, the Pod is skipped,
// and package webhook decides about it. If a list or map is too long, duplicate names get no denial here.
func decode(body []byte) (review, *denial.Denial) {
	r := review{}
	err := pod.Unmarshal(body, &r)
	if err == nil {
		return r, nil
	}
	if tooLong, ok := errors.AsType[*pod.TooLongError](err); ok {
		// The check for duplicate names would need too much memory.
		r, err = decodeWithoutPod(body, jsontext.AllowDuplicateNames(true))
		r.Request.Object.tooLong = tooLong
	} else {
		r, err = decodeWithoutPod(body)
	}
	if err != nil {
		return r, unreadable(err)
	}
	return r, nil
}

// decodeDenied decodes what it can of a review that is denied already. The response needs the uid, which an API server
// writes before anything from a user.
func decodeDenied(body []byte) review {
	r, _ := decodeWithoutPod(body, jsontext.AllowDuplicateNames(true))
	return r
}

func decodeWithoutPod(body []byte, options ...json.Options) (review, error) {
	r := review{}
	r.Request.Object.skipped = true
	err := json.Unmarshal(body, &r, options...)
	return r, err
}

// buffers is a pool of buffers for the bodies of reviews and responses. Data that is used after a review must be copied from
// them.
var buffers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// maxPooledBuffer is the size of the largest buffer that is reused, in bytes: many times the size of a usual review.
const maxPooledBuffer = 256 << 10

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// unreadable returns the denial of a body that is not a review, or whose Pod has a duplicate field.
func unreadable(err error) *denial.Denial {
	denied := denial.NotAReview(pod.Unreadable(err).Error())
	var syntactic *jsontext.SyntacticError
	if errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic) {
		if inPod, ok := strings.CutPrefix(string(syntactic.JSONPointer), "/request/object/"); ok {
			syntactic.JSONPointer = jsontext.Pointer("/" + inPod)
			denied = denial.PodUnreadable(pod.Unreadable(syntactic))
		}
	}
	return &denied
}

// write writes the response in the version of the review: an API server accepts no other.
func (r review) write(ctx context.Context, w http.ResponseWriter, response *admissionv1.AdmissionResponse) {
	reply := &admissionv1.AdmissionReview{Response: response}
	reply.APIVersion, reply.Kind = fallbackVersion, "AdmissionReview"
	if r.Kind == reply.Kind && schema.FromAPIVersionAndKind(r.APIVersion, r.Kind).Group == admissionv1.GroupName {
		reply.APIVersion = r.APIVersion
	}
	written := buffers.Get().(*bytes.Buffer)
	defer putBuffer(written)
	if err := json.MarshalWrite(written, reply, marshalOptions); err != nil {
		panic(err) // A response can always be marshalled.
	}
	// With the length in the header, a client notices an incomplete response.
	w.Header()["Content-Type"] = jsonContentType
	w.Header().Set("Content-Length", strconv.Itoa(written.Len()))
	// An error means that the client is gone.
	_ = writeWhole(ctx, w, written.Bytes())
}

// fallbackVersion is the version of the response to a body that is not an AdmissionReview of the group admission.k8s.io.
var fallbackVersion = admissionv1.SchemeGroupVersion.String()

// jsonContentType is one slice for all responses, so that a response allocates none.
var jsonContentType = []string{"application/json"}

// marshalOptions give equal bytes for equal responses, maps included. Responses have no duplicate names, so the check for
// them, which takes time, is off. The types of k8s.io/api expect encoding/json's meaning of omitempty.
var marshalOptions = json.JoinOptions(
	json.Deterministic(true), jsontext.AllowDuplicateNames(true), jsonv1.OmitEmptyWithLegacySemantics(true))
