package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

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

// This is in place of controller-runtime's admission.Webhook, which reads a review five times over, into types of which the
// webhook looks at a tenth: an empty one takes longer than all of this. It stays in the tests, where a fuzz test holds each
// answer here against its.
//
// Reviews are decoded by the mirror of Go 1.27's encoding/json/v2, for what it refuses before it is for its speed. Two who read
// one document must not read two things in it, and here the other is the API server, which goes on with the pod:
//
//   - encoding/json takes "Spec" for spec, whichever comes last, and the last of two of one name. Not for a boundary.
//   - sigs.k8s.io/json, the API server's own, takes the one spelling alone and can refuse names that are there twice, but not in
//     fields that nobody asked for, and it makes U+FFFD of what is no UTF-8. It also reads everything twice.
//   - This one takes the one spelling, and refuses both, everywhere. No API server is refused by that: what it sends it has
//     read and written anew.

// review is as much of an AdmissionReview as anybody here looks at.
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

// object is what a review is about: where it is in the review, out of which it is not copied, and the pod that it is.
type object struct {
	from, to int64
	// pod is nil where that is passed over, which is for what cannot be read as one.
	pod     *pod.Pod
	skipped bool
	// tooLong is why the pod was passed over; nil if it was not for that.
	tooLong *pod.TooLongError
}

// UnmarshalJSONFrom reads the pod on the way to the end of the review, or passes over the value, which has to be right JSON.
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

// raw is the object. What was before it when it was come to is a colon.
func (o object) raw(body []byte) []byte { return bytes.TrimLeft(body[o.from:o.to], ": \t\r\n") }

// decode decodes a review, and the pod in it at once. What cannot be read as a pod is for whoever decides to speak of, by what it
// says in its place: the review around it can be right.
func decode(body []byte) (review, error) {
	r := review{}
	err := pod.Unmarshal(body, &r)
	if err == nil {
		return r, nil
	}
	if tooLong, ok := errors.AsType[*pod.TooLongError](err); ok {
		// To look for names that are there twice is what takes the memory.
		r, err = decodeWithoutPod(body, jsontext.AllowDuplicateNames(true))
		r.Request.Object.tooLong = tooLong
		return r, err
	}
	return decodeWithoutPod(body)
}

func decodeWithoutPod(body []byte, options ...json.Options) (review, error) {
	r := review{}
	r.Request.Object.skipped = true
	err := json.Unmarshal(body, &r, options...)
	return r, err
}

// buffers are buffers to read reviews into and to write answers into. Everything that outlives one, the strings of a review
// among them, is a copy.
var buffers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// maxPooledBuffer is the largest buffer that is kept for another review: of many times a usual one.
const maxPooledBuffer = 256 << 10

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// ServeHTTP answers one review. Whatever it is that has come, the answer is in protocol, and is logged and counted.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := buffers.Get().(*bytes.Buffer)
	defer putBuffer(body)
	refusal, err := readBody(w, r, body)
	if err != nil {
		// The client has gone, or stalled: nobody reads an answer.
		h.log.WarnContext(r.Context(), "the body did not arrive whole", "from", r.RemoteAddr, "err", err.Error())
		http.Error(w, "the body did not arrive whole", http.StatusRequestTimeout)
		return
	}
	began := time.Now()
	// Of a review that is refused already, the uid is in what there is: an API server writes it before anything that a person
	// has written, and takes an answer for one only with it.
	var asked review
	var unread error
	if refusal == nil {
		asked, unread = decode(body.Bytes())
	} else {
		asked, unread = decodeWithoutPod(body.Bytes(), jsontext.AllowDuplicateNames(true))
	}
	if unread != nil && refusal == nil {
		refusal = unreadableDenial(unread)
	}
	var response *admissionv1.AdmissionResponse
	if refusal != nil {
		response = h.respondDenied(r.Context(), asked.Request, *refusal, began)
	} else {
		response = h.handle(r.Context(), asked.Request, body, began)
	}
	response.UID = asked.Request.UID
	asked.write(r.Context(), w, response)
	if refusal == nil {
		h.metrics.observeDuration(h.kind, began)
	}
}

// unreadableDenial tells a review that is none from a pod with a field twice, which is found on the way to it.
func unreadableDenial(err error) *denial.Denial {
	refusal := denial.NotAReview(pod.Unreadable(err).Error())
	var syntactic *jsontext.SyntacticError
	if errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic) {
		if inPod, ok := strings.CutPrefix(string(syntactic.JSONPointer), "/request/object/"); ok {
			syntactic.JSONPointer = jsontext.Pointer("/" + inPod)
			refusal = denial.PodUnreadable(pod.Unreadable(syntactic))
		}
	}
	return &refusal
}

// write answers in the version that the review came in: an API server takes no other.
func (r review) write(ctx context.Context, w http.ResponseWriter, response *admissionv1.AdmissionResponse) {
	answered := &admissionv1.AdmissionReview{Response: response}
	answered.APIVersion, answered.Kind = fallbackVersion, "AdmissionReview"
	if r.Kind == answered.Kind && schema.FromAPIVersionAndKind(r.APIVersion, r.Kind).Group == admissionv1.GroupName {
		answered.APIVersion = r.APIVersion
	}
	written := buffers.Get().(*bytes.Buffer)
	defer putBuffer(written)
	if err := json.MarshalWrite(written, answered, marshalOptions); err != nil {
		panic(err) // What has been decided can be written, whatever the pod.
	}
	// With its length, an answer is whole or none, and goes out as it is.
	w.Header()["Content-Type"] = jsonContentType
	w.Header().Set("Content-Length", strconv.Itoa(written.Len()))
	// An error here is a client that has gone.
	_ = writeWhole(ctx, w, written.Bytes())
}

// fallbackVersion of an answer where the review has none that could be answered in.
var fallbackVersion = admissionv1.SchemeGroupVersion.String()

// jsonContentType is one slice for all answers.
var jsonContentType = []string{"application/json"}

// marshalOptions writes an answer: the same one is the same bytes, also where there is a map in it. No name is there twice in
// what is written here, and to look for one takes time. The types of k8s.io/api leave out what encoding/json takes for empty.
var marshalOptions = json.JoinOptions(
	json.Deterministic(true), jsontext.AllowDuplicateNames(true), jsonv1.OmitEmptyWithLegacySemantics(true))
