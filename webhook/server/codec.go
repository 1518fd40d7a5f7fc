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

// This file replaces controller-runtime's admission.Webhook, which reads a review five times, into types of which the webhook
// needs a tenth: an empty one of its webhooks takes longer than this whole one. It stays in the tests: a fuzz test compares
// each answer with its answer.
//
// Reviews are decoded by github.com/go-json-experiment/json, the mirror of Go 1.27's encoding/json/v2. The reason is safety
// first, and speed second: the API server and the webhook must read the same in one document.
//
//   - encoding/json reads "Spec" as spec, and the last of two fields of one name. That is too lax at a security boundary.
//   - sigs.k8s.io/json, the API server's own, reads spec alone, but accepts a name twice in fields that it does not decode, and
//     replaces bytes that are no UTF-8 by U+FFFD. It also reads everything twice.
//   - This one reads spec alone, and reports both as errors, everywhere. No review of an API server fails by that: what it
// sends it
//     has decoded and encoded itself.

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

// object is the object of a review: the Pod, and where it stands in the body, from which it is not copied.
type object struct {
	// from and to are offsets in the body, in bytes.
	from, to int64
	// skipped reports whether the object is not to be decoded; pod is nil then.
	skipped bool
	pod     *pod.Pod
	// tooLong is the list that made the object skipped; nil if there is none.
	tooLong *pod.TooLongError
}

// UnmarshalJSONFrom decodes the Pod, or skips the value, which must be valid JSON.
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

// raw returns the object as it stands in the body. The offset from is before the colon.
func (o object) raw(body []byte) []byte { return bytes.TrimLeft(body[o.from:o.to], ": \t\r\n") }

// decode decodes a review, and the Pod in it at once. It returns a denial where the review cannot be read. A Pod that cannot
// be read in a review that can is no denial here: package webhook says what is wrong with it.
func decode(body []byte) (review, *denial.Denial) {
	r := review{}
	err := pod.Unmarshal(body, &r)
	if err == nil {
		return r, nil
	}
	if tooLong, ok := errors.AsType[*pod.TooLongError](err); ok {
		// Looking for names that are there twice is what takes the memory.
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

// decodeDenied decodes what it can of a review that is denied already. An API server writes the uid before anything that a
// user has written, and takes an answer only with it.
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

// buffers hold the bodies of reviews and of answers. Everything that outlives one is a copy, strings of a review included.
var buffers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// maxPooledBuffer is the size of the largest buffer that is kept for another review, in bytes: many times a usual one.
const maxPooledBuffer = 256 << 10

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// unreadable returns the denial of a body that is no review, or that holds a Pod with one field twice.
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

// write writes the answer in the version of the review: an API server accepts no other.
func (r review) write(ctx context.Context, w http.ResponseWriter, response *admissionv1.AdmissionResponse) {
	answered := &admissionv1.AdmissionReview{Response: response}
	answered.APIVersion, answered.Kind = fallbackVersion, "AdmissionReview"
	if r.Kind == answered.Kind && schema.FromAPIVersionAndKind(r.APIVersion, r.Kind).Group == admissionv1.GroupName {
		answered.APIVersion = r.APIVersion
	}
	written := buffers.Get().(*bytes.Buffer)
	defer putBuffer(written)
	if err := json.MarshalWrite(written, answered, marshalOptions); err != nil {
		panic(err) // Every decision can be written, whatever the Pod.
	}
	// With its length in the header, an answer arrives whole or not at all.
	w.Header()["Content-Type"] = jsonContentType
	w.Header().Set("Content-Length", strconv.Itoa(written.Len()))
	// An error here is a client that has gone.
	_ = writeWhole(ctx, w, written.Bytes())
}

// fallbackVersion is the version of an answer to a review without a known version.
var fallbackVersion = admissionv1.SchemeGroupVersion.String()

// jsonContentType is one slice for all answers.
var jsonContentType = []string{"application/json"}

// marshalOptions write the same answer as the same bytes, maps included. Nothing written here has a name twice, and looking
// for one takes time. The types of k8s.io/api expect that what encoding/json calls empty is left out.
var marshalOptions = json.JoinOptions(
	json.Deterministic(true), jsontext.AllowDuplicateNames(true), jsonv1.OmitEmptyWithLegacySemantics(true))
